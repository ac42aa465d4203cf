#include <gemel/data.h>

#include "support/random.h"

/* Fisher and Yates. Counts of 2^32 and more would need wider draws. */
void gm_shuffle(uint64_t seed, int64_t epoch, int64_t *order, int64_t count)
{
    gm_random stream = gm_random_stream(seed, epoch, 0, 0, GM_RANDOM_SHUFFLE);
    for (int64_t i = 0; i < count; i++)
        order[i] = i;
    for (int64_t i = count - 1; i > 0; i--) {
        const int64_t j = gm_random_below(&stream, (uint32_t)i + 1);
        const int64_t value = order[i];
        order[i] = order[j];
        order[j] = value;
    }
}
