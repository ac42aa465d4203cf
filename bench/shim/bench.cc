// The only C++ of the project: Google Benchmark behind the C functions of bench.h.
#include "bench.h"

#include <benchmark/benchmark.h>

#include <cstdarg>
#include <cstdio>

static benchmark::State &state_of(bench_run *run)
{
    return *reinterpret_cast<benchmark::State *>(run);
}

static benchmark::Counter rate(double per_repetition)
{
    return benchmark::Counter(per_repetition, benchmark::Counter::kIsIterationInvariantRate,
                              benchmark::Counter::kIs1000);
}

void bench_register(bench_function function, const void *arg, const char *format, ...)
{
    char name[256];
    va_list values;
    va_start(values, format);
    std::vsnprintf(name, sizeof name, format, values);
    va_end(values);
    // Wall time: the work runs on more threads than the one whose CPU time is measured.
    benchmark::RegisterBenchmark(name, [function, arg](benchmark::State &state) {
        function(reinterpret_cast<bench_run *>(&state), arg);
    })->UseRealTime();
}

bool bench_next(bench_run *run)
{
    return state_of(run).KeepRunning();
}

void bench_pause(bench_run *run)
{
    state_of(run).PauseTiming();
}

void bench_resume(bench_run *run)
{
    state_of(run).ResumeTiming();
}

void bench_flops(bench_run *run, double per_repetition)
{
    state_of(run).counters["FLOP"] = rate(per_repetition);
}

void bench_bytes(bench_run *run, double per_repetition)
{
    state_of(run).counters["bytes"] = rate(per_repetition);
}

void bench_counter(bench_run *run, const char *name, double value)
{
    state_of(run).counters[name] = value;
}

void bench_fail(bench_run *run, const char *message)
{
    state_of(run).SkipWithError(message);
}

int main(int argc, char **argv)
{
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    bench_setup();
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
