/* Packing and the serial blocked loop around the register tile. Compiled once per instruction set, with the tile that
 * GM_MICRO_HEADER (gemm/micro/<isa>.h) defines. */
#include "gemm/macro.h"
#include "gemm/near.h"
#include "gemm/pack.h"

const struct gm_gemm_kernels GM_ENTRY(gm_gemm_f32) = {
    .name = MICRO_NAME,
    .mr = TILE_ROWS,
    .nr = TILE_COLS,
    .slack = VEC_LANES,
    .depth = DEPTH_MOST,
    .depth_wide = DEPTH_WIDE,
    .whole_rows = WHOLE_ROWS,
    .least_panel = FEW_SUMS,
    .pack_a = pack_a,
    .pack_b = pack_b,
    .multiply = multiply,
    .multiply_near = multiply_near,
    .finish = finish,
};
