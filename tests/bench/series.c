/* Measured values: quantiles, and the lines that load generators answer. */
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void series_add(struct series *series, double value)
{
    if (series->count < SERIES_MAX) {
        series->values[series->count++] = value;
    }
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return a < b ? -1 : a > b;
}

double series_quantile(const struct series *series, double share)
{
    struct series sorted = *series;
    double position;
    unsigned below;

    if (series->count == 0) {
        return 0;
    }
    qsort(sorted.values, sorted.count, sizeof sorted.values[0], compare_doubles);
    position = share * (double)(sorted.count - 1);
    below = (unsigned)position;
    if (below + 1 >= sorted.count) {
        return sorted.values[sorted.count - 1];
    }
    return sorted.values[below] +
           (position - (double)below) * (sorted.values[below + 1] - sorted.values[below]);
}

double series_parse_value(const char *line, const char *name, double absent)
{
    char pattern[64];
    const char *found;

    (void)snprintf(pattern, sizeof pattern, " %s=", name);
    found = strstr(line, pattern);
    return found == NULL ? absent : strtod(found + strlen(pattern), NULL);
}

bool series_parse_load(const char *line, struct load_figures *ret_figures)
{
    struct load_figures figures = {
        .rate = series_parse_value(line, "rate", -1),
        .p50_us = series_parse_value(line, "p50_us", -1),
        .p99_us = series_parse_value(line, "p99_us", -1),
        .max_us = series_parse_value(line, "max_us", -1),
        .failed = series_parse_value(line, "failed", -1),
    };

    if (figures.rate < 0 || figures.p50_us < 0 || figures.p99_us < 0 || figures.max_us < 0 ||
        figures.failed < 0) {
        return false;
    }
    *ret_figures = figures;
    return true;
}
