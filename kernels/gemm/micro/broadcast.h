/* One step of k where the machine broadcasts a float from memory as fast as it loads a vector. many: one of several in
 * one turn of a loop. */

static inline __attribute__((always_inline)) void step(int rows, int vecs, bool many, const float *a, const vec *right,
                                                       vec sum[TILE_ROWS][TILE_VECS])
{
    GM_UNROLL
    for (int i = 0; i < rows; i++) {
        const vec left = vec_set(a[i]);
        GM_UNROLL
        for (int v = 0; v < vecs; v++)
            sum[i][v] = vec_fma(left, right[v], sum[i][v]);
        if (many)
            vec_hold(left);
    }
}
