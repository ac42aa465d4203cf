/* Which architecture the weights of a file belong to, by their names and shapes. */
#ifndef GEMEL_WEIGHTS_ARCH_H
#define GEMEL_WEIGHTS_ARCH_H

#include <gemel/model.h>

#include "formats/tensor_file.h"

/* Sets arch, encoder_dim, hidden_size, channels, conv_width and stem, as far as they matter to the architecture; the
 * size of images is not in their weights. Errors: GM_BAD_DATA where it is none of gm_arch. */
gm_status gm_weights_find_arch(const gm_tensor_file *file, gm_model_options *options, gm_error *error);

#endif
