#!/bin/sh
# Schemathesis against a live service; run from the root of the repository. Arguments go to `schemathesis run`.
set -eu
export SCHEMATHESIS_HOOKS=tools/schemathesis/hooks.py PYTHONPATH=.
exec .venv/bin/python tools/live_service.py env 'TCLEARN_OBJECT={object}' \
  "${SCHEMATHESIS:-build/schemathesis/bin/schemathesis}" run '{url}/v1/openapi.json' \
  --tls-verify '{root}' --request-cert '{certificate}' --request-cert-key '{key}' \
  --exclude-path /v1/ledger/events --max-examples 300 --seed 1 --generation-database none \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance \
  "$@"
