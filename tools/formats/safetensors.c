#include "formats/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "support/file.h"
#include "support/parse.h"

/* A parsed header takes at most this many times its text: jansson keeps a number of two characters in some 48 bytes. */
enum { PARSED_GROWTH = 24 };

static const int64_t most_header = 100000000, memory_allowance = 64 << 20;
static const char metadata_key[] = "__metadata__";

/* --- writing --------------------------------------------------------------------------------------------------- */

/* Steals value; false without memory or where the text is not UTF-8. */
static bool put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static json_t *make_entry(const gm_tensor *tensor, int64_t begin, int64_t end)
{
    json_t *shape = json_array();
    for (int32_t i = 0; i < tensor->dimensions && shape; i++)
        if (json_array_append_new(shape, json_integer(tensor->shape[i])) != 0) {
            json_decref(shape);
            shape = NULL;
        }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", gm_tensor_type_name(tensor->type), "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)end);
}

static gm_status add_tensors(json_t *header, const char *path, int64_t count, const gm_tensor *tensors, gm_error *error)
{
    int64_t begin = 0;
    for (int64_t i = 0; i < count; i++) {
        const gm_tensor *tensor = &tensors[i];
        int64_t elements, bytes, end;
        if (!tensor->name || !*tensor->name || strcmp(tensor->name, metadata_key) == 0 ||
            json_object_get(header, tensor->name))
            return gm_error_set(error, GM_INVALID_ARGUMENT, "%s: tensor %lld has no name of its own", path,
                                (long long)i);
        if (tensor->type >= GM_TENSOR_TYPE_COUNT || !gm_tensor_size(tensor, &elements, &bytes) ||
            __builtin_add_overflow(begin, bytes, &end) || (bytes > 0 && !tensor->data))
            return gm_error_set(error, GM_INVALID_ARGUMENT, "%s: tensor '%s' has no data or an impossible shape", path,
                                tensor->name);
        if (!put(header, tensor->name, make_entry(tensor, begin, end)))
            return gm_error_set(error, GM_OUT_OF_MEMORY, "%s: no memory for its header", path);
        begin = end;
    }
    return GM_OK;
}

static gm_status add_metadata(json_t *header, const char *path, int64_t count, const gm_metadata *metadata,
                              gm_error *error)
{
    if (count == 0)
        return GM_OK;
    json_t *object = json_object();
    for (int64_t i = 0; i < count; i++)
        if (!put(object, metadata[i].key, json_string(metadata[i].value))) {
            json_decref(object);
            return gm_error_set(error, GM_INVALID_ARGUMENT,
                                "%s: metadata entry %lld is not text in UTF-8, or memory is out", path, (long long)i);
        }
    return put(header, metadata_key, object)
               ? GM_OK
               : gm_error_set(error, GM_OUT_OF_MEMORY, "%s: no memory for its header", path);
}

/* The length and the text, which spaces fill up to a multiple of 8, so that the data are aligned. */
static gm_status append_header(gm_file_writer *writer, const char *text, gm_error *error)
{
    static const char spaces[8] = "        ";
    const size_t length = strlen(text), padding = (8 - length % 8) % 8;
    const uint64_t padded = length + padding;
    gm_status status = gm_file_append(writer, &padded, sizeof padded, error);
    if (status == GM_OK)
        status = gm_file_append(writer, text, length, error);
    return status == GM_OK ? gm_file_append(writer, spaces, padding, error) : status;
}

static gm_status write_file(const char *path, const char *text, int64_t count, const gm_tensor *tensors,
                            gm_error *error)
{
    gm_file_writer writer;
    gm_status status = gm_file_begin(&writer, path, error);
    if (status != GM_OK)
        return status;
    status = append_header(&writer, text, error);
    for (int64_t i = 0; i < count && status == GM_OK; i++) {
        int64_t elements, bytes = 0;
        gm_tensor_size(&tensors[i], &elements, &bytes); /* add_tensors() has checked it */
        status = gm_file_append(&writer, tensors[i].data, (size_t)bytes, error);
    }
    if (status != GM_OK) {
        gm_file_abandon(&writer);
        return status;
    }
    return gm_file_commit(&writer, error);
}

/* The header as text, in the order of insertion; NULL without memory. jansson 2.14 can leave out a key whose allocation
 * fails and go on, so the text is trusted only when it reads as what was meant. */
static char *dump_header(const json_t *header)
{
    char *text = json_dumps(header, JSON_COMPACT);
    json_t *again = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!again || !json_equal(again, header)) {
        free(text);
        text = NULL;
    }
    json_decref(again);
    return text;
}

gm_status gm_safetensors_write(const char *path, int64_t tensor_count, const gm_tensor *tensors, int64_t entry_count,
                               const gm_metadata *metadata, gm_error *error)
{
    char *text = NULL;
    json_t *header = json_object();
    gm_status status = add_metadata(header, path, entry_count, metadata, error);
    if (status == GM_OK)
        status = add_tensors(header, path, tensor_count, tensors, error);
    if (status != GM_OK)
        goto fail;
    text = dump_header(header);
    status = text ? write_file(path, text, tensor_count, tensors, error)
                  : gm_error_set(error, GM_OUT_OF_MEMORY, "%s: no memory for its header", path);
fail:
    free(text);
    json_decref(header);
    return status;
}

/* --- reading --------------------------------------------------------------------------------------------------- */

struct entry {
    gm_tensor tensor;
    int64_t begin, end; /* in the data */
};

struct gm_safetensors {
    gm_file source;
    int64_t data; /* offset of the data in it */
    json_t *header;
    const json_t *metadata; /* part of the header; NULL without */
    struct entry *entries;
    int64_t count;
};

static gm_status refuse(const gm_safetensors *file, const char *tensor, const char *reason, gm_error *error)
{
    return gm_error_set(error, GM_BAD_DATA, "%s: tensor '%.200s' %s", file->source.path, tensor, reason);
}

static gm_status read_entry(const gm_safetensors *file, const char *name, const json_t *value, struct entry *entry,
                            gm_error *error)
{
    if (!gm_text_is_plain(name, strlen(name)))
        return gm_error_set(error, GM_BAD_DATA, "%s: has a tensor with control characters in its name",
                            file->source.path);
    const char *type = json_string_value(json_object_get(value, "dtype"));
    const json_t *shape = json_object_get(value, "shape"), *offsets = json_object_get(value, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_object_size(value) != 3 || !type || !json_is_array(shape) || json_array_size(offsets) != 2 ||
        !json_is_integer(begin) || !json_is_integer(end))
        return refuse(file, name, "is not described by dtype, shape and data_offsets", error);
    *entry = (struct entry){.tensor = {.name = name}, json_integer_value(begin), json_integer_value(end)};
    gm_tensor *tensor = &entry->tensor;
    while (strcmp(type, gm_tensor_type_name(tensor->type)) != 0)
        if (++tensor->type == GM_TENSOR_TYPE_COUNT)
            return gm_error_set(error, GM_BAD_DATA, "%s: tensor '%.200s' has dtype '%.20s', which cannot be read",
                                file->source.path, name, type);
    if (json_array_size(shape) > GM_TENSOR_MOST_DIMENSIONS)
        return refuse(file, name, "has too many dimensions", error);
    tensor->dimensions = (int32_t)json_array_size(shape);
    for (int32_t i = 0; i < tensor->dimensions; i++) {
        if (!json_is_integer(json_array_get(shape, (size_t)i)))
            return refuse(file, name, "has a shape that is not of integers", error);
        tensor->shape[i] = json_integer_value(json_array_get(shape, (size_t)i));
    }
    int64_t elements, bytes;
    if (!gm_tensor_size(tensor, &elements, &bytes))
        return refuse(file, name, "has an impossible shape", error);
    if (entry->begin < 0 || entry->end < entry->begin || entry->end - entry->begin != bytes)
        return refuse(file, name, "has data_offsets that do not fit its shape", error);
    return GM_OK;
}

static int by_offset(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static gm_status check_contiguous(const gm_safetensors *file, gm_error *error)
{
    int64_t at = 0;
    for (int64_t i = 0; i < file->count; i++) {
        if (file->entries[i].begin != at)
            return refuse(file, file->entries[i].tensor.name, "does not begin where the one before it ends", error);
        at = file->entries[i].end;
    }
    if (at != file->source.size - file->data)
        return gm_error_set(error, GM_BAD_DATA, "%s: has %lld bytes of data where its header says %lld",
                            file->source.path, (long long)(file->source.size - file->data), (long long)at);
    return GM_OK;
}

static gm_status read_metadata(gm_safetensors *file, const json_t *metadata, gm_error *error)
{
    const char *key;
    json_t *value;
    file->metadata = metadata;
    if (!json_is_object(metadata))
        return gm_error_set(error, GM_BAD_DATA, "%s: its metadata are not an object", file->source.path);
    json_object_foreach((json_t *)metadata, key, value) if (!json_is_string(value)) return gm_error_set(
        error, GM_BAD_DATA, "%s: metadata '%.200s' is not a string", file->source.path, key);
    return GM_OK;
}

static gm_status read_entries(gm_safetensors *file, gm_error *error)
{
    const char *name;
    json_t *value;
    file->entries = calloc(json_object_size(file->header) + 1, sizeof *file->entries);
    if (!file->entries)
        return gm_file_no_memory(error, file->source.path, json_object_size(file->header) * sizeof *file->entries);
    json_object_foreach(file->header, name, value)
    {
        const gm_status status = strcmp(name, metadata_key) == 0
                                     ? read_metadata(file, value, error)
                                     : read_entry(file, name, value, &file->entries[file->count++], error);
        if (status != GM_OK)
            return status;
    }
    qsort(file->entries, (size_t)file->count, sizeof *file->entries, by_offset);
    return check_contiguous(file, error);
}

static gm_status read_header(gm_safetensors *file, gm_error *error)
{
    uint64_t length;
    if (file->source.size < (int64_t)sizeof length)
        return gm_error_set(error, GM_BAD_DATA, "%s: too short for a safetensors file", file->source.path);
    gm_status status = gm_file_read_at(&file->source, 0, &length, sizeof length, error);
    if (status != GM_OK)
        return status;
    const int64_t left = file->source.size - (int64_t)sizeof length;
    if (length > (uint64_t)left)
        return gm_error_set(error, GM_BAD_DATA, "%s: not a safetensors file, or cut short", file->source.path);
    if (length > (uint64_t)most_header || (int64_t)length > (2 * file->source.size + memory_allowance) / PARSED_GROWTH)
        return gm_error_set(error, GM_BAD_DATA, "%s: a header of %llu bytes is too long", file->source.path,
                            (unsigned long long)length);
    file->data = (int64_t)(sizeof length + length);
    char *text = malloc(length + 1);
    if (!text)
        return gm_file_no_memory(error, file->source.path, length + 1);
    json_error_t where;
    status = gm_file_read_at(&file->source, sizeof length, text, length, error);
    if (status == GM_OK) {
        file->header = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
        if (!file->header && !*where.text)
            status = gm_file_no_memory(error, file->source.path, length);
        else if (!file->header)
            status = gm_error_set(error, GM_BAD_DATA, "%s: header: %s at byte %d", file->source.path, where.text,
                                  where.position);
        else if (!json_is_object(file->header))
            status = gm_error_set(error, GM_BAD_DATA, "%s: its header is not an object", file->source.path);
    }
    free(text);
    return status;
}

gm_status gm_safetensors_open(const char *path, gm_safetensors **file, gm_error *error)
{
    *file = NULL;
    gm_safetensors *opened = calloc(1, sizeof *opened);
    if (!opened)
        return gm_file_no_memory(error, path, sizeof *opened);
    gm_status status = gm_file_open(path, &opened->source, error);
    if (status == GM_OK)
        status = read_header(opened, error);
    if (status == GM_OK)
        status = read_entries(opened, error);
    if (status == GM_OK)
        *file = opened;
    else
        gm_safetensors_close(opened);
    return status;
}

void gm_safetensors_close(gm_safetensors *file)
{
    if (!file)
        return;
    gm_file_close(&file->source);
    json_decref(file->header);
    free(file->entries);
    free(file);
}

const char *gm_safetensors_metadata(const gm_safetensors *file, const char *key)
{
    return json_string_value(json_object_get(file->metadata, key));
}

int64_t gm_safetensors_all_metadata(const gm_safetensors *file, gm_metadata *entries)
{
    const char *key;
    json_t *value;
    int64_t count = 0;
    if (!entries)
        return (int64_t)json_object_size(file->metadata);
    json_object_foreach((json_t *)file->metadata, key, value) entries[count++] =
        (gm_metadata){key, json_string_value(value)};
    return count;
}

int64_t gm_safetensors_count(const gm_safetensors *file)
{
    return file->count;
}

gm_tensor gm_safetensors_tensor(const gm_safetensors *file, int64_t index)
{
    return file->entries[index].tensor;
}

gm_status gm_safetensors_read(const gm_safetensors *file, const gm_tensor *tensor, gm_error *error)
{
    const struct entry *entry = NULL;
    for (int64_t i = 0; i < file->count && !entry; i++)
        if (strcmp(file->entries[i].tensor.name, tensor->name) == 0)
            entry = &file->entries[i];
    if (!entry)
        return refuse(file, tensor->name, "is missing", error);
    if (entry->tensor.type != tensor->type || !gm_tensor_same_shape(&entry->tensor, tensor)) {
        char found[128], needed[128];
        gm_tensor_describe(&entry->tensor, found, sizeof found);
        gm_tensor_describe(tensor, needed, sizeof needed);
        return gm_error_set(error, GM_BAD_DATA, "%s: tensor '%.200s' is %s where %s is needed", file->source.path,
                            tensor->name, found, needed);
    }
    return gm_file_read_at(&file->source, file->data + entry->begin, tensor->data, (size_t)(entry->end - entry->begin),
                           error);
}
