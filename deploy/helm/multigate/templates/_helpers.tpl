{{- define "multigate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 50 characters: `-admin`, `-golden-rows` and dashboards follow. */}}
{{- define "multigate.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "multigate.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "multigate.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "multigate.selectorLabels" -}}
app.kubernetes.io/name: {{ include "multigate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Those of the pods that serve. */}}
{{- define "multigate.serverLabels" -}}
{{ include "multigate.selectorLabels" . }}
app.kubernetes.io/component: server
{{- end }}

{{- define "multigate.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "multigate.selectorLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | replace "+" "_" | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "multigate.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "multigate.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "multigate.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{/* Not empty: only the pod itself reaches this host, or none, which is the server's default. */}}
{{- define "multigate.isLoopback" -}}
{{- $host := . | default "127.0.0.1" }}
{{- if or (hasPrefix "127." $host) (has $host (list "localhost" "::1")) }}yes{{ end }}
{{- end }}

{{/* Not empty: the administration port is on, and others than the pod itself reach it. */}}
{{- define "multigate.adminReachable" -}}
{{- if and .Values.settings.adminPort (not (include "multigate.isLoopback" .Values.settings.adminHost)) }}yes{{ end }}
{{- end }}

{{/* The port of probes and metrics. */}}
{{- define "multigate.adminPortName" -}}
{{- ternary "admin" "http" (eq (include "multigate.adminReachable" .) "yes") }}
{{- end }}

{{- define "multigate.adminPortNumber" -}}
{{- ternary .Values.settings.adminPort .Values.settings.port (eq (include "multigate.adminReachable" .) "yes") }}
{{- end }}

{{- define "multigate.tls" -}}
{{- if or .Values.tls.secret .Values.settings.tlsCert }}yes{{ end }}
{{- end }}

{{- define "multigate.mutualTls" -}}
{{- if or .Values.tls.clientCa.secret .Values.settings.tlsClientCa }}yes{{ end }}
{{- end }}

{{- define "multigate.fromImage" -}}
{{- if not (or .Values.models.source .Values.models.existingClaim) }}yes{{ end }}
{{- end }}

{{- define "multigate.predictionLogFolder" -}}
/var/lib/multigate/prediction-log
{{- end }}

{{/* Longest time that the server takes to stop: the drain delay, 30 s for accepted requests, and 5 s to spare. */}}
{{- define "multigate.terminationGracePeriodSeconds" -}}
{{- add (divf (.Values.settings.drainDelayMs | default 1000) 1000 | ceil) 35 }}
{{- end }}

{{/* cpu and memory, as requests and limits. */}}
{{- define "multigate.resources" -}}
requests: { cpu: {{ .cpu | quote }}, memory: {{ .memory | quote }} }
limits: { cpu: {{ .cpu | quote }}, memory: {{ .memory | quote }} }
{{- end }}

{{/* Four fifths of a quantity such as 10Gi, in bytes. */}}
{{- define "multigate.bytes" -}}
{{- $number := regexFind "^[0-9.]+" . | float64 }}
{{- $unit := regexFind "[A-Za-z]*$" . }}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 }}
{{- mulf $number (get $units $unit | float64) 0.8 | int64 }}
{{- end }}

{{/* A value as the text of a variable: numbers without an exponent. */}}
{{- define "multigate.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}
