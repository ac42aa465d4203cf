/* Everything in libgemel. */
#ifndef GEMEL_GEMEL_H
#define GEMEL_GEMEL_H

#include <gemel/api.h>
#include <gemel/barlow.h>
#include <gemel/batchnorm.h>
#include <gemel/bias_relu.h>
#include <gemel/blur.h>
#include <gemel/color.h>
#include <gemel/column_stats.h>
#include <gemel/context.h>
#include <gemel/conv.h>
#include <gemel/cpu.h>
#include <gemel/gemm.h>
#include <gemel/gray_view.h>
#include <gemel/layernorm.h>
#include <gemel/optimizer.h>
#include <gemel/pool.h>
#include <gemel/resample.h>
#include <gemel/status.h>
#include <gemel/version.h>

#endif
