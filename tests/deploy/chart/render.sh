#!/bin/sh
# Renders the chart with each values file here, by helm: tests/deploy/chart/render.sh [HELM]
# Run it after a change of the chart; deploy.files tells when the results are out of date.
set -eu
cd "$(dirname "$0")"
helm=${1:-helm}
chart=../../../deploy/helm/netbird-ha
for values in *.values.yaml; do
  "$helm" lint --quiet "$chart" -f "$values"
  out=${values%.values.yaml}.rendered.yaml
  {
    echo "# of: $(python3 checksum.py "$values")"
    "$helm" template nb "$chart" --kube-version 1.29.0 -f "$values"
  } >"$out"
done
