/* Pickles, and the tensors in them. */
#include "formats/pickle.h"

#include "formats/pth_tensors.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    gm_error error;
    gm_pickle pickle;
    gm_pth_tensors tensors;
    size_t used;
    if (gm_pickle_parse("fuzz", bytes, size, &pickle, &used, &error) != GM_OK)
        return 0;
    if (used > size)
        abort();
    gm_pth_list_tensors("fuzz", &pickle, &tensors, &error);
    gm_pth_tensors_free(&tensors);
    gm_pickle_free(&pickle);
    return 0;
}
