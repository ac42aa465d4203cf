/* The report's picture of the features in the plane. */
#ifndef GEMEL_REPORT_MAP_H
#define GEMEL_REPORT_MAP_H

#include <gemel/data.h>
#include <stdio.h>

#include "train/projection.h"

/* A section with an SVG: one dot a sample, coloured by its label, and a legend. Nothing without points. */
void gm_report_map_write(FILE *out, const gm_dataset *dataset, const gm_projection *projection);

#endif
