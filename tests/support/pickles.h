/* Pieces of pickles as string literals. Numbers are literals of one byte: "\x02". */
#ifndef GEMEL_TEST_PICKLES_H
#define GEMEL_TEST_PICKLES_H

#define PICKLE_ORDERED_DICT "ccollections\nOrderedDict\n)R"

#define PICKLE_STORAGE(type, key, elements)                                                                            \
    "(U\x07storagectorch\n" type "\nU\x01" key "U\x03"                                                                 \
    "cpuK" elements "tQ"

/* size and stride: tuples, as "K\x02\x85" */
#define PICKLE_TENSOR(storage, offset, size, stride)                                                                   \
    "ctorch._utils\n_rebuild_tensor_v2\n(" storage "K" offset size stride "\x89" PICKLE_ORDERED_DICT "tR"

/* A vector that is its storage. */
#define PICKLE_VECTOR(key, elements)                                                                                   \
    PICKLE_TENSOR(PICKLE_STORAGE("FloatStorage", key, elements), "\0", "K" elements "\x85", "K\x01\x85")

#endif
