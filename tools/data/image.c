#include "data/image.h"

#include <string.h>

gm_status gm_dataset_read_image(const gm_dataset *dataset, const gm_split *split, int64_t row, gm_image *image,
                                gm_error *error)
{
    if (split->pixels) {
        const gm_status status = gm_image_resize(image, dataset->height, dataset->width, dataset->name, error);
        if (status == GM_OK)
            memcpy(image->pixels, split->pixels + row * dataset->dim, (size_t)dataset->dim);
        return status;
    }
    gm_error reason;
    const gm_status status = gm_image_read(split->paths[row], image, &reason);
    if (status == GM_OK || status == GM_OUT_OF_MEMORY)
        return status == GM_OK ? GM_OK : gm_error_set(error, status, "%s", reason.message);
    return gm_error_set(error, GM_BAD_DATA, "%s; %s--skip-bad-images", reason.message,
                        status == GM_IO_ERROR ? "or begin anew with " : "remove it or pass ");
}
