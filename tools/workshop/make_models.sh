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
  once "$RUNS/$1/convert.json" convert --run "$RUNS/$1" --fold-padding
  once "$RUNS/$1/quantize.json" quantize --run "$RUNS/$1" --calibration "$SETS/$2"
}

# --- the models ---------------------------------------------------------------------------------

ladder() { # the same weights serve at two sizes; faces start from people
  distill people distilled --start "$START" --teacher $PERSON_TEACHER
  distill people large --start "$RUNS/distilled" --teacher $PERSON_TEACHER \
    --features 10 --epochs 5 --rate 8e-4
  distill faces faces --start "$RUNS/large" --teacher $FACE_TEACHER \
    --size 192 --epochs 3 --zoom 0.6,5
  QUICK= train people person_large --start "$RUNS/large" --size 352 --epochs 0
  QUICK= train people person_small --start "$RUNS/large" --size 224 --epochs 0
  QUICK= train faces face --start "$RUNS/faces" --size 224 --epochs 0
}

table() { # does each method earn its place? The same start, data and schedule for all
  local schedule=(--size 192 --epochs 2 --rate 5e-4) run
  prune distilled table/cut
  train people table/plain --start "$RUNS/distilled" "${schedule[@]}"
  distill people table/distilled --start "$RUNS/distilled" --teacher $PERSON_TEACHER \
    --features 10 "${schedule[@]}"
  train people table/pruned --start "$RUNS/table/cut" "${schedule[@]}"
  distill people table/pruned_distilled --start "$RUNS/table/cut" --teacher $PERSON_TEACHER \
    "${schedule[@]}"
  for run in plain distilled pruned pruned_distilled; do quantize table/$run people; done
  [ -e "$RUNS/table/comparison.json" ] ||
    step compare "$RUNS"/table/{plain,distilled,pruned,pruned_distilled} --images "$PEOPLE" \
      --class person --out "$RUNS/table"
}

data_of() { # a recipe; prints its data sets, a line each
  "$PYTHON" -c 'import sys, tomllib
print(*tomllib.load(open(sys.argv[1], "rb"))["data"], sep="\n")' "$1"
}

ship() { # pack, smaller one or "", run that was trained, data set, teacher, what it finds, folders
  local pack=$1 run=$RUNS/$1 smaller=$2 trained=$3 data=$4 teacher=$5 summary=$6 line folder words=()
  shift 6
  quantize "$pack" "$data"
  step lint "$run/int8.tflite"
  for folder in "$@"; do
    [ -e "$run/$(basename "$folder")/figures.json" ] ||
      step evaluate --run "$run" --images "$folder" --out "$run/$(basename "$folder")"
    words+=(--evaluation "$run/$(basename "$folder")/figures.json")
  done
  step card --run "$RUNS/$trained" --text "$RECIPES/$pack.toml" "${words[@]}" --out "$run/CARD.md"
  words=()
  while read -r line; do words+=(--data "$line"); done < <(data_of "$RECIPES/$pack.toml")
  step pack --run "$run" --name "$pack" --out "$PACKS/$pack" --card "$run/CARD.md" \
    --summary "$summary" --source "trained by the project, see the card" --teacher "$teacher" \
    --smaller "$smaller" --repeat "make models DATA=… PEOPLE=… FACES=…" "${words[@]}"
}

prepare person people
prepare face faces
START=$(weights_of $PERSON_TEACHER)
ladder
table
ship person_large person_small large people $PERSON_TEACHER \
  "People, at 352 pixels: the best of the ladder." "$PEOPLE"
ship person_small "" large people $PERSON_TEACHER \
  "People, at 224 pixels: quick, for small processors and many cameras." "$PEOPLE"
ship face "" faces faces $FACE_TEACHER "Faces, as boxes without landmarks." "$FACES"
