#!/usr/bin/env bash
# Makes the shipped models again, from labelled pictures to packs; `make models DATA=…` calls it.
#
#   tools/workshop/make_models.sh DATA
#
#   DATA    folder of pictures in which `person` and `face` are labelled, in a form that the step
#           `prepare` reads
#   PEOPLE  folder of pictures to measure people on, FACES the same for faces; nothing like these
#           is trained on
#   RUNS    folder for runs (default: runs), SETS for prepared data sets (data), PACKS for packs
#           (models)
#   CAMERA_APP_SIGNING_KEY  private key to sign with; without one the packs are not signed
#
# Stopped, the same command goes on: what has left its record is passed over, and training goes on
# after its last whole epoch. To make something anew, remove its folder.
set -euo pipefail
cd "$(dirname "$0")/../.."

DATA=${1:?give the folder of labelled pictures}
PEOPLE=${PEOPLE:?give a folder of pictures to measure people on}
FACES=${FACES:?give a folder of pictures to measure faces on}
RUNS=${RUNS:-runs}
SETS=${SETS:-data}
PACKS=${PACKS:-models}
PYTHON=${WORKSHOP_PYTHON:-.venv-workshop/bin/python}

PERSON_TEACHER=yolox_nano_coco_416
FACE_TEACHER=rfb_face_320x240
RECIPES=tools/workshop/recipes
# For trials with a tiny data set: fewer of everything, such as QUICK="--epochs 1 --batch 8".
QUICK=${QUICK:-}

step() {
  echo "models: $*"
  "$PYTHON" -m tools.workshop "$@"
}

once() { # the record that the step leaves, then the step; a record of failure does not stay
  local record=$1 code=0
  shift
  [ ! -e "$record" ] || return 0
  step "$@" || code=$?
  # Quantization complains of suspect layers: whether they matter, the evaluation tells.
  [ $code = 0 ] || [ "$1 $code" = "quantize 1" ] || {
    rm -f "$record"
    exit $code
  }
}

weights_of() { # a pack
  "$PYTHON" -c 'import sys; from camera_app.models import find_pack, locate_weights
print(locate_weights(find_pack(sys.argv[1])))' "$1"
}

# --- single steps -------------------------------------------------------------------------------

prepare() { # class, name of the data set
  once "$SETS/$2/prepare.json" prepare "$DATA" --out "$SETS/$2" --classes "$1" \
    --held-out "$PEOPLE" --held-out "$FACES"
}

train() { # data set, run, further words
  local data=$1 run=$2
  shift 2
  # shellcheck disable=SC2086 # words of their own
  once "$RUNS/$run/train.json" train "$SETS/$data" --run "$RUNS/$run" "$@" $QUICK
}

distill() { # data set, run, further words
  local data=$1 run=$2
  shift 2
  # shellcheck disable=SC2086
  once "$RUNS/$run/distill.json" distill "$SETS/$data" --run "$RUNS/$run" "$@" $QUICK
}

prune() { # run, run made of it
  once "$RUNS/$2/prune.json" prune "$RUNS/$1" --run "$RUNS/$2" --share 0.3
}

quantize() { # run, data set
  once "$RUNS/$1/convert.json" convert --run "$RUNS/$1" --images "$SETS/$2"
  once "$RUNS/$1/quantize.json" quantize --run "$RUNS/$1" --calibration "$SETS/$2"
}

# --- the models ---------------------------------------------------------------------------------

ladder() {
  distill people distilled --start "$START" --teacher $PERSON_TEACHER
  distill people large --start "$RUNS/distilled" --teacher $PERSON_TEACHER \
    --features 10 --epochs 5 --rate 8e-4
  prune large cut
  distill people small --start "$RUNS/cut" --teacher $PERSON_TEACHER --epochs 5
  distill faces face --start "$RUNS/small" --teacher $FACE_TEACHER --epochs 4
}

table() { # does each method earn its place? The same data and schedule for all
  train people plain --start "$START"
  prune plain plain_cut
  train people pruned --start "$RUNS/plain_cut"
  prune distilled distilled_cut
  distill people pruned_distilled --start "$RUNS/distilled_cut" --teacher $PERSON_TEACHER
  for run in plain distilled pruned pruned_distilled; do quantize $run people; done
  [ -e "$RUNS/table/comparison.json" ] ||
    step compare "$RUNS"/{plain,distilled,pruned,pruned_distilled} --images "$PEOPLE" \
      --class person --out "$RUNS/table"
}

data_of() { # a recipe; prints its data sets, a line each
  "$PYTHON" -c 'import sys, tomllib
print(*tomllib.load(open(sys.argv[1], "rb"))["data"], sep="\n")' "$1"
}

ship() { # run, data set, pictures to measure on, teacher, pack, what it finds
  local run=$RUNS/$1 data=$2 images=$3 teacher=$4 pack=$5 summary=$6 line data_words=()
  while read -r line; do data_words+=(--data "$line"); done < <(data_of "$RECIPES/$pack.toml")
  quantize "$1" "$data"
  step lint "$run/int8.tflite"
  [ -e "$run/report/figures.json" ] ||
    step evaluate --run "$run" --images "$images" --out "$run/report"
  step card --run "$run" --text "$RECIPES/$pack.toml" --evaluation "$run/report/figures.json"
  step pack --run "$run" --name "$pack" --out "$PACKS/$pack" --card "$run/CARD.md" \
    --summary "$summary" --source "trained by the project, see the card" --teacher "$teacher" \
    --repeat "make models DATA=… PEOPLE=… FACES=…" "${data_words[@]}"
}

prepare person people
prepare face faces
START=$(weights_of $PERSON_TEACHER)
ladder
table
ship large people "$PEOPLE" $PERSON_TEACHER camera_person_256 "Finds people."
ship small people "$PEOPLE" $PERSON_TEACHER camera_person_small_256 "Finds people, in less time."
ship face faces "$FACES" $FACE_TEACHER camera_face_256 "Finds faces."
