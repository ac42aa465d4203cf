#!/usr/bin/env bash
# Kills training runs at random moments, also while they save, and resumes them until they are done: the final weights must
# equal those of a run that nobody stopped, byte for byte, and the exit codes must be the documented ones.
# Usage: GEMEL_COMMAND=build/tools/gemel/gemel tests/kill.sh [RUNS [SEED]]; prints what is needed to repeat a failure.
set -um # a child without job control would ignore SIGINT
runs=${1:-20}
seed=${2:-$(date +%s)}
command=$(realpath "${GEMEL_COMMAND:-build/tools/gemel/gemel}")
RANDOM=$((seed % 32768))
export OMP_NUM_THREADS=2
folder=$(mktemp -d) || exit 1
child=
trap '[ -z "$child" ] || kill -KILL "$child" 2>/dev/null; rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder" || exit 1

kills=0
finished=
interrupts=0

fail() {
    printf 'run %d (%s), seed %d: %s\n' "$run" "$kind" "$seed" "$1"
    cat said
    echo "0 passed, 1 failed"
    exit 1
}

# A fraction of a second from a to b milliseconds.
random_pause() {
    printf '0.%03d' $(($1 + (RANDOM * 32768 + RANDOM) % ($2 - $1)))
}

# Bytes that look random, the same for each seed.
random_bytes() {
    LC_ALL=C awk -v n="$1" -v seed="$seed" 'BEGIN { srand(seed); for (i = 0; i < n; i++) printf "%c", 1 + int(255 * rand()) }'
}

make_vectors() {
    local header="{'descr': '|u1', 'fortran_order': False, 'shape': (256, 16), }"
    { printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "$header" && random_bytes 4096; } >vectors.npy
}

make_images() {
    local name
    mkdir images
    for name in train t10k; do
        { printf '\0\0\x08\x03\0\0\0\x40\0\0\0\x0c\0\0\0\x0c' && random_bytes 9216; } >images/$name-images-idx3-ubyte
        { printf '\0\0\x08\x01\0\0\0\x40' && printf '\0\x01%.0s' {1..32}; } >images/$name-labels-idx1-ubyte
    done
}

kinds=(mlp axon conv)
words() {
    case $1 in
    mlp) echo 'vectors.npy --arch mlp --optimizer lars --epochs 60' ;;
    axon) echo 'vectors.npy --arch axon --optimizer adam --epochs 60' ;;
    conv) echo 'images --arch conv --optimizer sgd --epochs 30' ;;
    esac
    echo '--batch-size 16 --hidden-size 24 --projection-dim 32 --no-evaluation --quiet --print-freq 3'
}

# Starts gemel in the background. Usage: begin WORDS...
begin() {
    "$command" train "$@" >said 2>&1 &
    child=$!
}

# Waits for it; $code is its exit code.
end() {
    wait "$child" 2>/dev/null
    code=$?
    child=
}

# What a killed run left is loadable. A run that had not saved anything begins anew.
check_left() {
    if [ -e run/backbone.safetensors ]; then
        "$command" convert run left.safetensors >said 2>&1 || fail 'the backbone that it left cannot be loaded'
    fi
}

# One leg of a run, stopped at a random moment by a random signal. Usage: leg WORDS...
leg() {
    local signal=KILL
    case $((RANDOM % 5)) in
    0) signal=INT ;;
    1) signal=TERM ;;
    esac
    begin "$@" --threads $((1 + RANDOM % 2)) --save-every $((1 + RANDOM % 3))
    sleep "$(random_pause 5 150)"
    kill -$signal "$child" 2>/dev/null
    [ $signal = INT ] && [ $((RANDOM % 4)) = 0 ] && kill -INT "$child" 2>/dev/null
    end
    case $signal:$code in
    KILL:137) kills=$((kills + 1)) ;;
    INT:130 | TERM:143) interrupts=$((interrupts + 1)) ;;
    *:0) ;; # it was faster
    *:2)
        grep -q 'epochs are done' said || fail "exit code 2 after SIG$signal"
        finished=1
        ;;
    *) fail "exit code $code after SIG$signal" ;;
    esac
    check_left
}

make_vectors
make_images
for kind in "${kinds[@]}"; do
    run=0
    # shellcheck disable=SC2046 # words
    begin $(words "$kind") --checkpoint-dir "whole-$kind"
    end
    [ "$code" = 0 ] || fail "exit code $code"
done

for ((run = 1; run <= runs; run++)); do
    kind=${kinds[run % 3]}
    rm -rf run
    while [ ! -e run/checkpoint.safetensors ]; do
        # shellcheck disable=SC2046 # words
        leg $(words "$kind") --checkpoint-dir run --overwrite
    done
    finished=
    for ((legs = 0; legs < 500; legs++)); do
        [ -z "$finished" ] || break
        leg run --resume --no-evaluation --quiet --print-freq 3
    done
    [ "$finished" ] || fail 'it does not come to an end'
    for file in checkpoint.safetensors backbone.safetensors config.json; do
        cmp -s "whole-$kind/$file" "run/$file" || fail "$file differs from that of a run that was not stopped"
    done
    [ "$(cut -d, -f2 run/metrics.csv | sort -n | uniq | wc -l)" = "$(wc -l <run/metrics.csv)" ] ||
        fail 'an epoch is in metrics.csv twice'
done

echo "$kills killed, $interrupts interrupted, seed $seed"
echo "$runs passed, 0 failed"
