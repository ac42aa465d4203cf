#include "formats/pth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pickle.h"
#include "formats/pth_tensors.h"
#include "formats/zip.h"
#include "support/file.h"
#include "support/parse.h"

enum { MOST_FOLDER = 256, MOST_KEY = 64 };

static const int64_t unpacking_allowance = 32 << 20;

/* The number 0x1950a86a20f9469cfc6c as a pickle of protocol 2 or 3 has it: what files before PyTorch 1.6 begin with. */
static const uint8_t legacy_magic[] = {0x80, 2,    0x8a, 10,   0x6c, 0xfc, 0x9c, 0x46,
                                       0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};

static bool is_legacy(const uint8_t start[sizeof legacy_magic])
{
    return start[0] == 0x80 && (start[1] == 2 || start[1] == 3) &&
           memcmp(start + 2, legacy_magic + 2, sizeof legacy_magic - 2) == 0;
}

struct gm_pth {
    gm_file source;
    gm_zip zip; /* all zero for a legacy file */
    gm_pth_tensors tensors;
    int32_t loaded; /* the storage in `bytes`; -1: none */
    uint8_t *bytes;
};

static gm_status refuse(const gm_pth *file, const char *reason, gm_error *error)
{
    return gm_error_set(error, GM_BAD_DATA, "%s: %s", file->source.path, reason);
}

static gm_status refuse_storage(const gm_pth *file, const gm_pth_storage *storage, const char *reason, gm_error *error)
{
    return gm_error_set(error, GM_BAD_DATA, "%s: tensor '%s': its storage '%s' %s", file->source.path,
                        file->tensors.entries[storage->first].tensor.name, storage->key, reason);
}

/* --- zip archives ---------------------------------------------------------------------------------------------- */

/* The folder that everything lies in: what stands before "data.pkl", "archive/" for most. */
static gm_status find_folder(const gm_pth *file, char folder[MOST_FOLDER], gm_error *error)
{
    static const char pickle[] = "data.pkl";
    const gm_zip_entry *found = NULL;
    for (int64_t i = 0; i < file->zip.count; i++) {
        const char *name = file->zip.entries[i].name, *slash = strchr(name, '/');
        if (!slash || strcmp(slash + 1, pickle) != 0)
            continue;
        if (found)
            return refuse(file, "has two files data.pkl", error);
        found = &file->zip.entries[i];
    }
    if (!found)
        return refuse(file, "is a zip archive without a file data.pkl, so not one of PyTorch's", error);
    const size_t length = strlen(found->name) - strlen(pickle);
    if (length >= MOST_FOLDER)
        return refuse(file, "its folder has too long a name", error);
    memcpy(folder, found->name, length);
    folder[length] = '\0';
    return GM_OK;
}

static const gm_zip_entry *find_entry(const gm_pth *file, const char *folder, const char *part, const char *name)
{
    char path[MOST_FOLDER + 2 * MOST_KEY];
    snprintf(path, sizeof path, "%s%s%s", folder, part, name);
    return gm_zip_find(&file->zip, path);
}

static gm_status check_byte_order(const gm_pth *file, const char *folder, gm_error *error)
{
    static const char little[] = "little";
    char order[sizeof little] = "";
    const gm_zip_entry *entry = find_entry(file, folder, "byteorder", "");
    if (!entry)
        return GM_OK; /* before PyTorch 2.1, and then little endian on every machine that this runs on */
    if (entry->size != sizeof little - 1)
        return refuse(file, "is not in little endian; save it on another machine", error);
    const gm_status status = gm_zip_read(&file->zip, entry, order, error);
    if (status != GM_OK || strcmp(order, little) == 0)
        return status;
    return refuse(file, "is not in little endian; save it on another machine", error);
}

static gm_status find_zip_storages(gm_pth *file, const char *folder, gm_error *error)
{
    for (int32_t i = 0; i < file->tensors.storage_count; i++) {
        gm_pth_storage *storage = &file->tensors.storages[i];
        storage->entry = find_entry(file, folder, "data/", storage->key);
        if (!storage->entry)
            return refuse_storage(file, storage, "is missing", error);
        if (storage->entry->size != storage->bytes)
            return refuse_storage(file, storage, "has another size in the archive than in the pickle", error);
        if (storage->entry->deflated && storage->bytes > 2 * file->source.size + unpacking_allowance)
            return refuse_storage(file, storage, "unpacks to more than twice the file and 32 MB", error);
    }
    return GM_OK;
}

static gm_status read_zip(gm_pth *file, gm_error *error)
{
    char folder[MOST_FOLDER];
    gm_pickle pickle = {0};
    uint8_t *bytes = NULL;
    size_t used;
    gm_status status = gm_zip_open(&file->source, &file->zip, error);
    if (status == GM_OK)
        status = find_folder(file, folder, error);
    if (status == GM_OK)
        status = check_byte_order(file, folder, error);
    if (status != GM_OK)
        return status;
    if (find_entry(file, folder, "constants.pkl", ""))
        return refuse(file, "holds a program (TorchScript); save its state_dict() instead", error);
    const gm_zip_entry *entry = find_entry(file, folder, "data.pkl", "");
    if (entry->size > GM_PICKLE_MOST_BYTES)
        return refuse(file, "its pickle is longer than 16 MB", error);
    bytes = malloc((size_t)entry->size + 1);
    if (!bytes)
        return gm_file_no_memory(error, file->source.path, (size_t)entry->size);
    status = gm_zip_read(&file->zip, entry, bytes, error);
    if (status == GM_OK)
        status = gm_pickle_parse(file->source.path, bytes, (size_t)entry->size, &pickle, &used, error);
    if (status == GM_OK && (int64_t)used != entry->size)
        status = refuse(file, "something follows the end of its pickle", error);
    if (status == GM_OK)
        status = gm_pth_list_tensors(file->source.path, &pickle, &file->tensors, error);
    if (status == GM_OK)
        status = find_zip_storages(file, folder, error);
    gm_pickle_free(&pickle);
    free(bytes);
    return status;
}

/* --- legacy files ---------------------------------------------------------------------------------------------- */

/* What stands before the storages: the magic number, the protocol, a description of the machine, the object, the keys
 * of the storages; each a pickle. */
struct legacy {
    const uint8_t *bytes;
    size_t size, next;
};

static gm_status next_pickle(const gm_pth *file, struct legacy *legacy, gm_pickle *pickle, gm_error *error)
{
    size_t used;
    const gm_status status = gm_pickle_parse(file->source.path, legacy->bytes + legacy->next,
                                             legacy->size - legacy->next, pickle, &used, error);
    legacy->next += used;
    return status;
}

static gm_status check_protocol(const gm_pth *file, struct legacy *legacy, gm_error *error)
{
    gm_pickle pickle;
    const gm_status status = next_pickle(file, legacy, &pickle, error);
    if (status != GM_OK)
        return status;
    const gm_pickle_value *root = &pickle.values[pickle.root];
    const bool known = root->kind == GM_PICKLE_INTEGER && root->integer == 1001;
    gm_pickle_free(&pickle);
    return known ? GM_OK : refuse(file, "has another protocol than 1001", error);
}

static gm_status check_machine(const gm_pth *file, struct legacy *legacy, gm_error *error)
{
    gm_pickle pickle;
    bool little = false;
    const gm_status status = next_pickle(file, legacy, &pickle, error);
    if (status != GM_OK)
        return status;
    const gm_pickle_value *root = &pickle.values[pickle.root];
    for (uint32_t i = 0; root->kind == GM_PICKLE_DICT && i < root->count; i += 2) {
        const gm_pickle_value *key = gm_pickle_item(&pickle, root, i), *value = gm_pickle_item(&pickle, root, i + 1);
        if (gm_pickle_is_text(key, "little_endian"))
            little = value->kind == GM_PICKLE_BOOL && value->integer != 0;
    }
    gm_pickle_free(&pickle);
    return little ? GM_OK : refuse(file, "is not in little endian; save it on another machine", error);
}

/* The storages lie behind the pickles in the order of the keys, each behind the number of its elements. */
static gm_status place_storages(gm_pth *file, const gm_pickle *keys, int64_t offset, gm_error *error)
{
    const gm_pickle_value *list = &keys->values[keys->root];
    if (list->kind != GM_PICKLE_LIST)
        return refuse(file, "its list of storages is no list", error);
    for (uint32_t i = 0; i < list->count; i++) {
        uint64_t elements;
        const gm_pickle_value *key = gm_pickle_item(keys, list, i);
        gm_pth_storage *storage =
            key->kind == GM_PICKLE_TEXT ? gm_pth_find_storage(&file->tensors, key->text, key->count) : NULL;
        if (!storage || storage->offset > 0)
            return refuse(file, "lists a storage twice, or one that no tensor uses", error);
        if (file->source.size - offset < (int64_t)sizeof elements)
            return refuse_storage(file, storage, "lies outside the file, which may be cut short", error);
        const gm_status status = gm_file_read_at(&file->source, offset, &elements, sizeof elements, error);
        if (status != GM_OK)
            return status;
        offset += (int64_t)sizeof elements;
        if (elements != (uint64_t)storage->elements)
            return refuse_storage(file, storage, "has another size than its pickle says", error);
        if (storage->bytes > file->source.size - offset)
            return refuse_storage(file, storage, "lies outside the file, which may be cut short", error);
        storage->offset = offset;
        offset += storage->bytes;
    }
    for (int32_t i = 0; i < file->tensors.storage_count; i++)
        if (file->tensors.storages[i].offset == 0)
            return refuse_storage(file, &file->tensors.storages[i], "is missing", error);
    return offset == file->source.size ? GM_OK : refuse(file, "something follows its last storage", error);
}

static gm_status read_legacy_pickles(gm_pth *file, struct legacy *legacy, gm_error *error)
{
    gm_pickle pickle = {0};
    legacy->next = sizeof legacy_magic;
    gm_status status = check_protocol(file, legacy, error);
    if (status == GM_OK)
        status = check_machine(file, legacy, error);
    if (status == GM_OK)
        status = next_pickle(file, legacy, &pickle, error);
    if (status == GM_OK)
        status = gm_pth_list_tensors(file->source.path, &pickle, &file->tensors, error);
    gm_pickle_free(&pickle);
    if (status == GM_OK)
        status = next_pickle(file, legacy, &pickle, error);
    if (status == GM_OK)
        status = place_storages(file, &pickle, (int64_t)legacy->next, error);
    gm_pickle_free(&pickle);
    return status;
}

static gm_status read_legacy(gm_pth *file, gm_error *error)
{
    const size_t size =
        file->source.size < GM_PICKLE_MOST_BYTES ? (size_t)file->source.size : (size_t)GM_PICKLE_MOST_BYTES;
    uint8_t *bytes = malloc(size);
    if (!bytes)
        return gm_file_no_memory(error, file->source.path, size);
    struct legacy legacy = {bytes, size, 0};
    gm_status status = gm_file_read_at(&file->source, 0, bytes, size, error);
    if (status == GM_OK)
        status = read_legacy_pickles(file, &legacy, error);
    free(bytes);
    return status;
}

/* --- the file -------------------------------------------------------------------------------------------------- */

static gm_status read_description(gm_pth *file, gm_error *error)
{
    uint8_t start[sizeof legacy_magic] = {0};
    const size_t size = file->source.size < (int64_t)sizeof start ? (size_t)file->source.size : sizeof start;
    const gm_status status = gm_file_read_at(&file->source, 0, start, size, error);
    if (status != GM_OK)
        return status;
    if (is_legacy(start))
        return read_legacy(file, error);
    if (start[0] == 0x80)
        return refuse(file, "is a bare pickle, or of PyTorch before 0.1.10; save it with torch.save", error);
    return read_zip(file, error);
}

gm_status gm_pth_open(const char *path, gm_pth **file, gm_error *error)
{
    *file = NULL;
    gm_pth *opened = calloc(1, sizeof *opened);
    if (!opened)
        return gm_file_no_memory(error, path, sizeof *opened);
    opened->loaded = -1;
    gm_status status = gm_file_open(path, &opened->source, error);
    if (status == GM_OK)
        status = read_description(opened, error);
    if (status == GM_OK)
        *file = opened;
    else
        gm_pth_close(opened);
    return status;
}

void gm_pth_close(gm_pth *file)
{
    if (!file)
        return;
    gm_pth_tensors_free(&file->tensors);
    gm_zip_close(&file->zip);
    gm_file_close(&file->source);
    free(file->bytes);
    free(file);
}

int64_t gm_pth_count(const gm_pth *file)
{
    return file->tensors.count;
}

gm_tensor gm_pth_tensor(const gm_pth *file, int64_t index)
{
    return file->tensors.entries[index].tensor;
}

static gm_status read_storage(const gm_pth *file, const gm_pth_storage *storage, void *bytes, gm_error *error)
{
    return storage->entry ? gm_zip_read(&file->zip, storage->entry, bytes, error)
                          : gm_file_read_at(&file->source, storage->offset, bytes, (size_t)storage->bytes, error);
}

/* Into file->bytes, unless it is there already. */
static gm_status load_storage(gm_pth *file, int32_t index, gm_error *error)
{
    const gm_pth_storage *storage = &file->tensors.storages[index];
    if (file->loaded == index)
        return GM_OK;
    free(file->bytes);
    file->loaded = -1;
    file->bytes = malloc((size_t)storage->bytes + 1);
    if (!file->bytes)
        return gm_file_no_memory(error, file->source.path, (size_t)storage->bytes);
    const gm_status status = read_storage(file, storage, file->bytes, error);
    file->loaded = status == GM_OK ? index : -1;
    return status;
}

gm_status gm_pth_read(gm_pth *file, int64_t index, void *data, gm_error *error)
{
    const gm_pth_entry *entry = &file->tensors.entries[index];
    const gm_pth_storage *storage = &file->tensors.storages[entry->storage];
    if (gm_pth_is_whole(entry, storage))
        return read_storage(file, storage, data, error);
    const gm_status status = load_storage(file, entry->storage, error);
    if (status == GM_OK)
        gm_pth_gather(entry, file->bytes, data);
    return status;
}
