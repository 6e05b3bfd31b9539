{{/* Settings as variables: maxQueueRows is MULTIGATE_MAX_QUEUE_ROWS. */}}
{{- define "multigate.env" -}}
{{- with .Values }}
{{- range $name, $value := .settings }}
- name: MULTIGATE_{{ $name | snakecase | upper }}
  value: {{ include "multigate.text" $value | quote }}
{{- end }}
{{- if and (not .cache.existingClaim) (not (hasKey .settings "cacheBytes")) }}
# Four fifths of cache.sizeLimit: beyond it the pod would be evicted.
- name: MULTIGATE_CACHE_BYTES
  value: {{ include "multigate.bytes" .cache.sizeLimit | quote }}
{{- end }}
{{- if .predictionLog.enabled }}
- name: MULTIGATE_PREDICTION_LOG
  value: {{ include "multigate.predictionLogFolder" $ }}
{{- if and (not .predictionLog.existingClaim) (not (hasKey .settings "predictionLogMaxBytes")) }}
- name: MULTIGATE_PREDICTION_LOG_MAX_BYTES
  value: {{ include "multigate.bytes" .predictionLog.sizeLimit | quote }}
{{- end }}
{{- end }}
{{- if .keys.secret }}
- name: MULTIGATE_KEYS
  value: /etc/multigate/keys/{{ .keys.file }}
{{- end }}
{{- if .tls.secret }}
- name: MULTIGATE_TLS_CERT
  value: /etc/multigate/tls/tls.crt
- name: MULTIGATE_TLS_KEY
  value: /etc/multigate/tls/tls.key
{{- end }}
{{- if .tls.clientCa.secret }}
- name: MULTIGATE_TLS_CLIENT_CA
  value: /etc/multigate/client-ca/{{ .tls.clientCa.file }}
{{- end }}
{{- if .modelKeys.configMap }}
- name: MULTIGATE_MODEL_KEYS
  value: /etc/multigate/model-keys/{{ .modelKeys.file }}
{{- end }}
{{- with .extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Copies the models of a source to /models. `more`: the command's further arguments. */}}
{{- define "multigate.syncContainer" -}}
{{- $sync := .root.Values.models.sync }}
image: {{ include "multigate.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
command: ["node", "dist/cli.js", "sync", {{ .root.Values.models.source | quote }}, "/models", "--max-bytes", {{ include "multigate.bytes" .root.Values.models.sizeLimit | quote }}, {{ .more }}]
{{- with $sync.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $sync.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- include "multigate.resources" $sync.resources | nindent 2 }}
securityContext:
  {{- toYaml .root.Values.securityContext | nindent 2 }}
volumeMounts:
  - { name: models, mountPath: /models }
  - { name: tmp, mountPath: /tmp }
  {{- with $sync.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* How a probe asks for `path`. With mutual TLS it needs a certificate, which the kubelet has not: then node asks. */}}
{{- define "multigate.probe" -}}
{{- if include "multigate.mutualTls" .root }}
exec:
  command:
    - node
    - --eval
    - >-
      const { readFileSync: read } = require("node:fs");
      const folder = "/etc/multigate/client/";
      require("node:https").get(process.argv[1], { rejectUnauthorized: false, cert: read(folder + "tls.crt"), key: read(folder + "tls.key") },
      ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on("error", () => process.exit(1))
    - https://127.0.0.1:{{ include "multigate.adminPortNumber" .root }}{{ .path }}
{{- else }}
httpGet:
  path: {{ .path }}
  port: {{ include "multigate.adminPortName" .root }}
  {{- if include "multigate.tls" .root }}
  scheme: HTTPS
  {{- end }}
{{- end }}
{{ toYaml .timing }}
{{- end }}
