#include "formats/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/tensor.h"
#include "support/file.h"

/* The header is a Python dictionary, as in {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 784), }. */

enum { NPY_MAGIC = 6, NPY_MOST_HEADER = 1 << 16, NPY_MOST_RANK = 32, NPY_PIECE = 1 << 16, NPY_ALIGNMENT = 64 };

static const char magic[] = "\x93NUMPY";

struct npy_type {
    const char *descr;
    size_t size;
};

static const struct npy_type number_types[] = {{"<f4", 4}, {"<f2", 2}, {"|u1", 1}, {NULL, 0}};
static const struct npy_type integer_types[] = {{"|u1", 1}, {"|i1", 1}, {"<i2", 2}, {"<i4", 4}, {"<i8", 8}, {NULL, 0}};

struct npy_file {
    gm_file source;
    int64_t data; /* offset of the array in it */
    const struct npy_type *type;
    int32_t rank;
    int64_t shape[NPY_MOST_RANK];
    int64_t count; /* product of shape */
};

static gm_status malformed(const struct npy_file *file, gm_error *error)
{
    return gm_error_set(error, GM_BAD_DATA, "%s: malformed .npy header; save it again with numpy.save",
                        file->source.path);
}

/* --- the header's dictionary ----------------------------------------------------------------------------------- */

static void skip_blanks(const char **text)
{
    *text += strspn(*text, " \t\n\r");
}

static bool take(const char **text, const char *token)
{
    skip_blanks(text);
    const size_t length = strlen(token);
    if (strncmp(*text, token, length) != 0)
        return false;
    *text += length;
    return true;
}

static bool take_string(const char **text, char *string, size_t size)
{
    skip_blanks(text);
    const char quote = **text;
    if (quote != '\'' && quote != '"')
        return false;
    const char *end = strchr(*text + 1, quote);
    if (!end || (size_t)(end - *text) > size)
        return false;
    const size_t length = (size_t)(end - *text) - 1;
    memcpy(string, *text + 1, length);
    string[length] = '\0';
    *text = end + 1;
    return true;
}

static bool take_size(const char **text, int64_t *value)
{
    skip_blanks(text);
    if (**text < '0' || **text > '9')
        return false;
    for (*value = 0; **text >= '0' && **text <= '9'; ++*text)
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, **text - '0', value))
            return false;
    return true;
}

/* (), (3,), (3, 4), (3, 4,) */
static bool take_shape(const char **text, struct npy_file *file)
{
    if (!take(text, "("))
        return false;
    for (file->rank = 0; !take(text, ")"); file->rank++) {
        if (file->rank == NPY_MOST_RANK || !take_size(text, &file->shape[file->rank]))
            return false;
        if (!take(text, ",")) {
            file->rank++;
            return take(text, ")");
        }
    }
    return true;
}

static gm_status set_type(struct npy_file *file, const char *descr, const struct npy_type *accepted, gm_error *error)
{
    for (file->type = accepted; file->type->descr; file->type++) /* one byte has no order: '<u1' is '|u1' */
        if (strcmp(descr, file->type->descr) == 0 ||
            (file->type->size == 1 && strspn(descr, "|<>=") == 1 && strcmp(descr + 1, file->type->descr + 1) == 0))
            return GM_OK;
    const char *remedy = accepted == number_types ? "float32, float16 or uint8" : "int64, int32, int16, int8 or uint8";
    if (strchr(descr, 'O'))
        return gm_error_set(error, GM_BAD_DATA, "%s: holds objects, not numbers; save it with dtype %s",
                            file->source.path, remedy);
    if (descr[0] == '>')
        return gm_error_set(error, GM_BAD_DATA, "%s: is big endian ('%s'); save it in little endian", file->source.path,
                            descr);
    return gm_error_set(error, GM_BAD_DATA, "%s: has dtype '%s'; save it with dtype %s", file->source.path, descr,
                        remedy);
}

static gm_status parse_dictionary(struct npy_file *file, const char *text, const struct npy_type *accepted,
                                  gm_error *error)
{
    char key[32], descr[32];
    bool has_descr = false, has_order = false, has_shape = false;
    if (!take(&text, "{"))
        return malformed(file, error);
    while (!take(&text, "}")) {
        bool *seen = NULL;
        if (!take_string(&text, key, sizeof key) || !take(&text, ":"))
            return malformed(file, error);
        if (strcmp(key, "descr") == 0) {
            seen = &has_descr;
            if (take(&text, "["))
                return gm_error_set(error, GM_BAD_DATA, "%s: holds records; save its columns as one plain matrix",
                                    file->source.path);
            if (!take_string(&text, descr, sizeof descr))
                return malformed(file, error);
        } else if (strcmp(key, "fortran_order") == 0) {
            seen = &has_order;
            if (take(&text, "True"))
                return gm_error_set(error, GM_BAD_DATA, "%s: is in Fortran order; save it with numpy.ascontiguousarray",
                                    file->source.path);
            if (!take(&text, "False"))
                return malformed(file, error);
        } else if (strcmp(key, "shape") == 0) {
            seen = &has_shape;
            if (!take_shape(&text, file))
                return malformed(file, error);
        }
        if (!seen || *seen)
            return malformed(file, error);
        *seen = true;
        if (!take(&text, ",")) {
            if (!take(&text, "}"))
                return malformed(file, error);
            break;
        }
    }
    skip_blanks(&text);
    if (*text || !has_descr || !has_order || !has_shape)
        return malformed(file, error);
    return set_type(file, descr, accepted, error);
}

/* --- the file -------------------------------------------------------------------------------------------------- */

static gm_status read_header(struct npy_file *file, const struct npy_type *accepted, gm_error *error)
{
    uint8_t start[NPY_MAGIC + 6];
    if (file->source.size < (int64_t)sizeof start)
        return gm_error_set(error, GM_BAD_DATA, "%s: too short for a .npy file", file->source.path);
    gm_status status = gm_file_read_at(&file->source, 0, start, sizeof start, error);
    if (status != GM_OK)
        return status;
    if (memcmp(start, magic, NPY_MAGIC) != 0)
        return gm_error_set(error, GM_BAD_DATA, "%s: not a .npy file; save it with numpy.save", file->source.path);
    const uint8_t version = start[NPY_MAGIC];
    if (version < 1 || version > 3)
        return gm_error_set(error, GM_BAD_DATA, "%s: .npy version %u is not known; 1, 2 and 3 are", file->source.path,
                            version);
    const uint8_t *length_bytes = start + NPY_MAGIC + 2;
    const int64_t prefix = version == 1 ? NPY_MAGIC + 4 : NPY_MAGIC + 6;
    int64_t length = length_bytes[0] | length_bytes[1] << 8;
    if (version > 1)
        length |= (int64_t)length_bytes[2] << 16 | (int64_t)length_bytes[3] << 24;
    if (length > NPY_MOST_HEADER || length > file->source.size - prefix)
        return malformed(file, error);
    char *text = malloc((size_t)length + 1);
    if (!text)
        return gm_file_no_memory(error, file->source.path, (size_t)length + 1);
    status = gm_file_read_at(&file->source, prefix, text, (size_t)length, error);
    if (status == GM_OK) {
        text[length] = '\0';
        file->data = prefix + length;
        status =
            strlen(text) == (size_t)length ? parse_dictionary(file, text, accepted, error) : malformed(file, error);
    }
    free(text);
    return status;
}

/* The array must fill the file exactly, so that a header alone cannot ask for memory. */
static gm_status check_size(struct npy_file *file, gm_error *error)
{
    int64_t bytes;
    file->count = 1;
    for (int32_t i = 0; i < file->rank; i++)
        if (__builtin_mul_overflow(file->count, file->shape[i], &file->count))
            return malformed(file, error);
    if (__builtin_mul_overflow(file->count, (int64_t)file->type->size, &bytes))
        return malformed(file, error);
    if (bytes != file->source.size - file->data)
        return gm_error_set(error, GM_BAD_DATA, "%s: has %lld bytes of data where its header says %lld; save it again",
                            file->source.path, (long long)(file->source.size - file->data), (long long)bytes);
    return GM_OK;
}

static gm_status open_file(struct npy_file *file, const char *path, const struct npy_type *accepted, gm_error *error)
{
    *file = (struct npy_file){.data = 0};
    gm_status status = gm_file_open(path, &file->source, error);
    if (status == GM_OK)
        status = read_header(file, accepted, error);
    if (status == GM_OK)
        status = check_size(file, error);
    if (status != GM_OK)
        gm_file_close(&file->source);
    return status;
}

/* --- numbers --------------------------------------------------------------------------------------------------- */

static uint64_t little_endian(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

static void to_floats(const struct npy_type *type, const uint8_t *bytes, int64_t count, void *values, int64_t first)
{
    float *out = (float *)values + first;
    for (int64_t i = 0; i < count; i++, bytes += type->size) {
        const uint32_t bits = (uint32_t)little_endian(bytes, type->size);
        if (type->size == 4)
            memcpy(&out[i], &bits, sizeof bits);
        else
            out[i] = type->size == 2 ? gm_half_to_float((uint16_t)bits) : (float)bits;
    }
}

static void to_integers(const struct npy_type *type, const uint8_t *bytes, int64_t count, void *values, int64_t first)
{
    int64_t *out = (int64_t *)values + first;
    const int unused = 64 - 8 * (int)type->size;
    const bool is_signed = type->descr[1] == 'i';
    for (int64_t i = 0; i < count; i++, bytes += type->size) {
        const uint64_t bits = little_endian(bytes, type->size) << unused;
        out[i] = is_signed ? (int64_t)bits >> unused : (int64_t)(bits >> unused);
    }
}

typedef void (*convert_fn)(const struct npy_type *type, const uint8_t *bytes, int64_t count, void *values,
                           int64_t first);

/* *values = the whole array, converted piece by piece into elements of `size` bytes. */
static gm_status read_values(const struct npy_file *file, size_t size, convert_fn convert, void **values,
                             gm_error *error)
{
    uint8_t piece[NPY_PIECE];
    const int64_t step = NPY_PIECE / (int64_t)file->type->size;
    size_t bytes;
    if (__builtin_mul_overflow((size_t)file->count, size, &bytes))
        return gm_error_set(error, GM_SIZE_OVERFLOW, "%s: too large", file->source.path);
    *values = malloc(bytes);
    if (!*values)
        return gm_file_no_memory(error, file->source.path, bytes);
    for (int64_t first = 0; first < file->count; first += step) {
        const int64_t count = file->count - first < step ? file->count - first : step;
        const int64_t offset = file->data + first * (int64_t)file->type->size;
        const gm_status status = gm_file_read_at(&file->source, offset, piece, (size_t)count * file->type->size, error);
        if (status != GM_OK) {
            free(*values);
            *values = NULL;
            return status;
        }
        convert(file->type, piece, count, *values, first);
    }
    return GM_OK;
}

static void describe_shape(const struct npy_file *file, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int32_t i = 0; i < file->rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? ", " : "", (long long)file->shape[i]);
}

gm_status gm_npy_read_f32(const char *path, int64_t *rows, int64_t *cols, float **values, gm_error *error)
{
    struct npy_file file;
    void *converted = NULL;
    *values = NULL;
    gm_status status = open_file(&file, path, number_types, error);
    if (status != GM_OK)
        return status;
    if (file.rank != 2 || file.count == 0) {
        char shape[64];
        describe_shape(&file, shape, sizeof shape);
        status = gm_error_set(error, GM_BAD_DATA,
                              "%s: has shape [%s]; a matrix [rows, features] with at least one of each is needed", path,
                              shape);
    } else {
        status = read_values(&file, sizeof(float), to_floats, &converted, error);
    }
    gm_file_close(&file.source);
    *values = converted;
    *rows = file.shape[0];
    *cols = file.shape[1];
    return status;
}

gm_status gm_npy_read_i64(const char *path, int64_t *rows, int64_t **values, gm_error *error)
{
    struct npy_file file;
    void *converted = NULL;
    *values = NULL;
    gm_status status = open_file(&file, path, integer_types, error);
    if (status != GM_OK)
        return status;
    if (file.count == 0 || !(file.rank == 1 || (file.rank == 2 && file.shape[1] == 1))) {
        char shape[64];
        describe_shape(&file, shape, sizeof shape);
        status =
            gm_error_set(error, GM_BAD_DATA, "%s: has shape [%s]; one integer a row, [rows], is needed", path, shape);
    } else {
        status = read_values(&file, sizeof(int64_t), to_integers, &converted, error);
    }
    gm_file_close(&file.source);
    *values = converted;
    *rows = file.shape[0];
    return status;
}

gm_status gm_npy_write_f32(const char *path, int64_t rows, int64_t cols, const float *values, int64_t ld,
                           gm_error *error)
{
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rows are written as they lie in memory");
    char header[2 * NPY_ALIGNMENT];
    memcpy(header, magic, NPY_MAGIC);
    int length = NPY_MAGIC + 4;
    length +=
        snprintf(header + length, sizeof header - (size_t)length,
                 "{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, %lld), }", (long long)rows, (long long)cols);
    while ((length + 1) % NPY_ALIGNMENT != 0) /* the data begin on a multiple of 64, behind a newline */
        header[length++] = ' ';
    header[length++] = '\n';
    const int text = length - NPY_MAGIC - 4;
    header[NPY_MAGIC] = 1;
    header[NPY_MAGIC + 1] = 0;
    header[NPY_MAGIC + 2] = (char)(text & 255);
    header[NPY_MAGIC + 3] = (char)(text >> 8);

    gm_file_writer writer;
    gm_status status = gm_file_begin(&writer, path, error);
    if (status != GM_OK)
        return status;
    status = gm_file_append(&writer, header, (size_t)length, error);
    for (int64_t i = 0; i < rows && status == GM_OK; i++)
        status = gm_file_append(&writer, values + i * ld, (size_t)cols * sizeof(float), error);
    if (status != GM_OK) {
        gm_file_abandon(&writer);
        return status;
    }
    return gm_file_commit(&writer, error);
}
