/* Softmax regression's loss, its gradient, and how answers are counted. */
#ifndef GEMEL_SOFTMAX_H
#define GEMEL_SOFTMAX_H

#include <gemel/context.h>

/* losses[i] = -log softmax(logits_i)[label_i]; then logits_i becomes the gradient of sum_i losses[i] / divisor with
 * respect to it: (softmax(logits_i) - [class is label_i]) / divisor. logits: [rows, classes], contiguous; losses:
 * [rows]. */
void gm_softmax_cross_entropy(gm_context *context, int64_t rows, int32_t classes, const int32_t *labels,
                              int64_t divisor, float *logits, double *losses);

/* Accuracies are also counted among so many most probable classes, which says something of more classes only. */
enum { GM_TOP = 5 };

/* How many classes are more probable than the label; of equal ones the smaller number counts as more probable, and a
 * NaN counts against the label. */
int32_t gm_label_rank(const float *logits, int32_t classes, int32_t label);

/* Learning rate of an epoch from 0 on: rate (1 + cos(pi epoch / epochs)) / 2. */
double gm_cosine_rate(double rate, int32_t epoch, int32_t epochs);

#endif
