#include "formats/pth_tensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/file.h"
#include "support/parse.h"

/* A pickle may hold one object in many places, and itself; so the walk counts its steps. */
enum { MOST_DEPTH = 16, MOST_VISITS = 4 << 20 };

typedef struct walk {
    const char *path;
    const gm_pickle *pickle;
    gm_pth_tensors *tensors;
    gm_error *error;
    char name[GM_PTH_MOST_NAME + 1]; /* of the value that is visited */
    int64_t visits;
} walk;

static gm_status refuse(const walk *w, const char *reason)
{
    return gm_error_set(w->error, GM_BAD_DATA, "%s: '%s' %s", w->path, w->name, reason);
}

static gm_status refuse_tensor(const walk *w, const char *reason)
{
    return gm_error_set(w->error, GM_BAD_DATA, "%s: tensor '%s' %s", w->path, w->name, reason);
}

/* --- one tensor ------------------------------------------------------------------------------------------------ */

/* Fills storage->key, type, elements and bytes. */
static gm_status read_storage(const walk *w, const gm_pickle_value *value, gm_pth_storage *storage)
{
    const gm_pickle_value *key = gm_pickle_item(w->pickle, value, 2), *elements = gm_pickle_item(w->pickle, value, 4);
    *storage = (gm_pth_storage){.type = gm_pickle_item(w->pickle, value, 1)->type, .elements = elements->integer};
    if (key->count == 0 || key->count > GM_PTH_MOST_KEY || !gm_text_is_plain(key->text, key->count) ||
        memchr(key->text, '/', key->count))
        return refuse_tensor(w, "has a storage whose key is no plain name");
    memcpy(storage->key, key->text, key->count);
    if (storage->elements < 0 ||
        __builtin_mul_overflow(storage->elements, gm_tensor_type_size(storage->type), &storage->bytes))
        return refuse_tensor(w, "has a storage of impossible size");
    return GM_OK;
}

static bool read_sizes(const gm_pickle *pickle, const gm_pickle_value *tuple, int64_t *sizes)
{
    if (tuple->kind != GM_PICKLE_TUPLE || tuple->count > GM_TENSOR_MOST_DIMENSIONS)
        return false;
    for (uint32_t i = 0; i < tuple->count; i++) {
        const gm_pickle_value *size = gm_pickle_item(pickle, tuple, i);
        if (size->kind != GM_PICKLE_INTEGER || size->integer < 0)
            return false;
        sizes[i] = size->integer;
    }
    return true;
}

/* Whether the tensor's last element lies within its storage. */
static bool within(const gm_pth_entry *entry, int64_t count, int64_t elements)
{
    int64_t last = entry->offset, reach;
    if (count == 0)
        return last <= elements;
    for (int32_t i = 0; i < entry->tensor.dimensions; i++)
        if (__builtin_mul_overflow(entry->tensor.shape[i] - 1, entry->stride[i], &reach) ||
            __builtin_add_overflow(last, reach, &last))
            return false;
    return last < elements;
}

/* Further arguments: requires_grad, hooks, which must be none, and flags that change the meaning of the numbers. */
static bool is_plain(const gm_pickle *pickle, const gm_pickle_value *tensor)
{
    for (uint32_t i = 5; i < tensor->count; i++) {
        const gm_pickle_value *more = gm_pickle_item(pickle, tensor, i);
        if (more->kind != GM_PICKLE_NONE && (more->kind != GM_PICKLE_DICT || more->count > 0))
            return false;
    }
    return tensor->count <= 7;
}

static gm_status read_tensor(const walk *w, const gm_pickle_value *value, gm_pth_entry *entry, gm_pth_storage *storage)
{
    const gm_pickle *pickle = w->pickle;
    const gm_pickle_value *memory = gm_pickle_item(pickle, value, 0), *offset = gm_pickle_item(pickle, value, 1),
                          *size = gm_pickle_item(pickle, value, 2), *stride = gm_pickle_item(pickle, value, 3);
    int64_t count, bytes;
    *entry = (gm_pth_entry){.offset = offset->integer};
    if (memory->kind != GM_PICKLE_STORAGE)
        return refuse_tensor(w, "has no storage");
    const gm_status status = read_storage(w, memory, storage);
    if (status != GM_OK)
        return status;
    if (offset->kind != GM_PICKLE_INTEGER || offset->integer < 0 || size->count != stride->count ||
        !read_sizes(pickle, size, entry->tensor.shape) || !read_sizes(pickle, stride, entry->stride))
        return refuse_tensor(w, "has an offset, a shape or strides that cannot be");
    if (!is_plain(pickle, value))
        return refuse_tensor(w, "has hooks or flags");
    entry->tensor.type = storage->type;
    entry->tensor.dimensions = (int32_t)size->count;
    if (!gm_tensor_size(&entry->tensor, &count, &bytes))
        return refuse_tensor(w, "has an impossible shape");
    if (!within(entry, count, storage->elements))
        return refuse_tensor(w, "reaches beyond its storage");
    if (count > storage->elements)
        return refuse_tensor(w, "repeats elements of its storage; save a copy of it by contiguous()");
    return GM_OK;
}

/* Storages are listed once a tensor, and merged at the end. */
static gm_status add_tensor(walk *w, const gm_pickle_value *value)
{
    gm_pth_tensors *t = w->tensors;
    if (t->count == GM_PTH_MOST_TENSORS)
        return refuse(w, "is a tensor too many");
    if (t->count == t->room) {
        const int64_t room = t->room ? 2 * t->room : 64;
        gm_pth_entry *entries = realloc(t->entries, (size_t)room * sizeof *entries);
        t->entries = entries ? entries : t->entries;
        gm_pth_storage *storages = realloc(t->storages, (size_t)room * sizeof *storages);
        t->storages = storages ? storages : t->storages;
        if (!entries || !storages)
            return gm_file_no_memory(w->error, w->path, (size_t)room * sizeof *entries);
        t->room = room;
    }
    gm_pth_entry *entry = &t->entries[t->count];
    const gm_status status = read_tensor(w, value, entry, &t->storages[t->count]);
    if (status != GM_OK)
        return status;
    entry->tensor.name = strdup(w->name);
    if (!entry->tensor.name)
        return gm_file_no_memory(w->error, w->path, strlen(w->name));
    t->storages[t->count].first = t->count;
    t->count++;
    return GM_OK;
}

/* --- the walk -------------------------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    const gm_pickle_value *x = *(const gm_pickle_value *const *)a, *y = *(const gm_pickle_value *const *)b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->kind != GM_PICKLE_TEXT)
        return (x->integer > y->integer) - (x->integer < y->integer);
    const int order = memcmp(x->text, y->text, x->count < y->count ? x->count : y->count);
    return order ? order : (x->count > y->count) - (x->count < y->count);
}

/* Texts and integers, none of them twice. */
static gm_status check_keys(const walk *w, const gm_pickle_value *dict)
{
    const uint32_t count = dict->count / 2;
    const gm_pickle_value **keys = malloc((count + 1) * sizeof *keys);
    if (!keys)
        return gm_file_no_memory(w->error, w->path, count * sizeof *keys);
    const char *reason = NULL;
    for (uint32_t i = 0; i < count && !reason; i++) {
        keys[i] = gm_pickle_item(w->pickle, dict, 2 * i);
        if (keys[i]->kind != GM_PICKLE_TEXT && keys[i]->kind != GM_PICKLE_INTEGER)
            reason = "is a dictionary whose keys are neither texts nor integers";
        else if (keys[i]->kind == GM_PICKLE_TEXT && !gm_text_is_plain(keys[i]->text, keys[i]->count))
            reason = "is a dictionary with control characters in its keys";
    }
    if (!reason)
        qsort(keys, count, sizeof *keys, by_key);
    for (uint32_t i = 1; i < count && !reason; i++)
        if (by_key(&keys[i - 1], &keys[i]) == 0)
            reason = "is a dictionary with duplicate keys";
    free(keys);
    return reason ? refuse(w, reason) : GM_OK;
}

static gm_status visit(walk *w, const gm_pickle_value *value, size_t length, int depth);

/* Visits item `index` under the name so far, a point, and its key or its place. */
static gm_status visit_item(walk *w, const gm_pickle_value *value, uint32_t index, size_t length, int depth)
{
    const bool dict = value->kind == GM_PICKLE_DICT;
    const gm_pickle_value *item = gm_pickle_item(w->pickle, value, dict ? 2 * index + 1 : index);
    const gm_pickle_value *key = dict ? gm_pickle_item(w->pickle, value, 2 * index) : NULL;
    char place[24];
    const char *part = place;
    if (item->kind != GM_PICKLE_TENSOR && item->kind != GM_PICKLE_DICT && item->kind != GM_PICKLE_LIST &&
        item->kind != GM_PICKLE_TUPLE)
        return GM_OK;
    size_t size =
        (size_t)snprintf(place, sizeof place, "%" PRId64, key && key->kind == GM_PICKLE_INTEGER ? key->integer : index);
    if (key && key->kind == GM_PICKLE_TEXT) {
        part = key->text;
        size = key->count;
    }
    const size_t point = length > 0;
    if (size > GM_PTH_MOST_NAME - length - point)
        return refuse(w, "holds a name that is too long");
    if (point)
        w->name[length] = '.';
    memcpy(w->name + length + point, part, size);
    w->name[length + point + size] = '\0';
    const gm_status status = visit(w, item, length + point + size, depth + 1);
    w->name[length] = '\0';
    return status;
}

static gm_status visit(walk *w, const gm_pickle_value *value, size_t length, int depth)
{
    if (value->kind == GM_PICKLE_TENSOR)
        return add_tensor(w, value);
    const uint32_t count = value->kind == GM_PICKLE_DICT ? value->count / 2 : value->count;
    w->visits += count;
    if (depth == MOST_DEPTH || w->visits > MOST_VISITS)
        return refuse(w, "is nested too deeply");
    gm_status status = value->kind == GM_PICKLE_DICT ? check_keys(w, value) : GM_OK;
    for (uint32_t i = 0; i < count && status == GM_OK; i++)
        status = visit_item(w, value, i, length, depth);
    return status;
}

/* --- the lists ------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const gm_pth_entry *x = a, *y = b;
    return strcmp(x->tensor.name, y->tensor.name);
}

static int by_storage(const void *a, const void *b)
{
    const gm_pth_storage *x = a, *y = b;
    const int order = strcmp(x->key, y->key);
    return order ? order : (x->first > y->first) - (x->first < y->first);
}

gm_pth_storage *gm_pth_find_storage(const gm_pth_tensors *tensors, const char *key, size_t length)
{
    int32_t low = 0, high = tensors->storage_count;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        gm_pth_storage *storage = &tensors->storages[middle];
        const size_t own = strlen(storage->key);
        int order = memcmp(key, storage->key, length < own ? length : own);
        order = order ? order : (length > own) - (length < own);
        if (order == 0)
            return storage;
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* One storage for each key, and for each tensor its storage. Entries are in the order of `first` here. */
static gm_status merge_storages(const walk *w)
{
    gm_pth_tensors *t = w->tensors;
    qsort(t->storages, (size_t)t->count, sizeof *t->storages, by_storage);
    for (int64_t i = 0; i < t->count; i++) {
        const gm_pth_storage *storage = &t->storages[i];
        gm_pth_storage *latest = t->storage_count ? &t->storages[t->storage_count - 1] : NULL;
        gm_pth_entry *entry = &t->entries[storage->first];
        if (!latest || strcmp(latest->key, storage->key) != 0)
            t->storages[t->storage_count++] = *storage;
        else if (latest->type != storage->type || latest->elements != storage->elements)
            return gm_error_set(w->error, GM_BAD_DATA,
                                "%s: tensor '%s' takes its storage '%s' for another type or size than '%s' does",
                                w->path, entry->tensor.name, latest->key, t->entries[latest->first].tensor.name);
        entry->storage = t->storage_count - 1;
    }
    return GM_OK;
}

static gm_status sort_entries(const walk *w)
{
    gm_pth_tensors *t = w->tensors;
    qsort(t->entries, (size_t)t->count, sizeof *t->entries, by_name);
    for (int64_t i = 1; i < t->count; i++)
        if (strcmp(t->entries[i - 1].tensor.name, t->entries[i].tensor.name) == 0)
            return gm_error_set(w->error, GM_BAD_DATA, "%s: tensor '%s' is there twice", w->path,
                                t->entries[i].tensor.name);
    for (int64_t i = t->count - 1; i >= 0; i--)
        t->storages[t->entries[i].storage].first = i;
    return GM_OK;
}

gm_status gm_pth_list_tensors(const char *path, const gm_pickle *pickle, gm_pth_tensors *tensors, gm_error *error)
{
    walk w = {.path = path, .pickle = pickle, .tensors = tensors, .error = error};
    const gm_pickle_value *root = &pickle->values[pickle->root];
    *tensors = (gm_pth_tensors){0};
    if (root->kind != GM_PICKLE_DICT && root->kind != GM_PICKLE_LIST && root->kind != GM_PICKLE_TUPLE)
        return gm_error_set(error, GM_BAD_DATA, "%s: holds no dictionary of tensors; save a state_dict()", path);
    gm_status status = visit(&w, root, 0, 0);
    if (status == GM_OK && tensors->count == 0)
        return gm_error_set(error, GM_BAD_DATA, "%s: holds no tensors; save a state_dict()", path);
    if (status == GM_OK)
        status = merge_storages(&w);
    return status == GM_OK ? sort_entries(&w) : status;
}

void gm_pth_tensors_free(gm_pth_tensors *tensors)
{
    for (int64_t i = 0; i < tensors->count; i++)
        free((char *)tensors->entries[i].tensor.name);
    free(tensors->entries);
    free(tensors->storages);
    *tensors = (gm_pth_tensors){0};
}

/* --- data ------------------------------------------------------------------------------------------------------ */

bool gm_pth_is_whole(const gm_pth_entry *entry, const gm_pth_storage *storage)
{
    int64_t expected = 1;
    for (int32_t i = entry->tensor.dimensions - 1; i >= 0; i--) {
        if (entry->tensor.shape[i] != 1 && entry->stride[i] != expected)
            return false;
        expected *= entry->tensor.shape[i];
    }
    return entry->offset == 0 && expected == storage->elements;
}

void gm_pth_gather(const gm_pth_entry *entry, const uint8_t *storage, void *data)
{
    const gm_tensor *tensor = &entry->tensor;
    const size_t size = (size_t)gm_tensor_type_size(tensor->type);
    int64_t position[GM_TENSOR_MOST_DIMENSIONS] = {0}, count, bytes, at = entry->offset;
    uint8_t *out = data;
    if (!gm_tensor_size(tensor, &count, &bytes))
        return;
    for (int64_t i = 0; i < count; i++, out += size) {
        memcpy(out, storage + (size_t)at * size, size);
        for (int32_t d = tensor->dimensions - 1; d >= 0; d--) {
            at += entry->stride[d];
            if (++position[d] < tensor->shape[d])
                break;
            at -= tensor->shape[d] * entry->stride[d];
            position[d] = 0;
        }
    }
}
