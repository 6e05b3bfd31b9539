{{/* Volumes of the server, and where it has them. */}}
{{- define "multigate.volumes" -}}
{{- with .Values }}
- name: tmp
  emptyDir: { sizeLimit: {{ .tmp.sizeLimit | quote }} }
- name: cache
  {{- if .cache.existingClaim }}
  persistentVolumeClaim: { claimName: {{ .cache.existingClaim }} }
  {{- else }}
  emptyDir: { sizeLimit: {{ .cache.sizeLimit | quote }} }
  {{- end }}
{{- include "multigate.modelsVolume" $ }}
{{- if .predictionLog.enabled }}
- name: prediction-log
  {{- if .predictionLog.existingClaim }}
  persistentVolumeClaim: { claimName: {{ .predictionLog.existingClaim }} }
  {{- else }}
  emptyDir: { sizeLimit: {{ .predictionLog.sizeLimit | quote }} }
  {{- end }}
{{- end }}
{{- if .keys.secret }}
- name: keys
  secret: { secretName: {{ .keys.secret }}, defaultMode: 0440 }
{{- end }}
{{- if .tls.secret }}
- name: tls
  secret: { secretName: {{ .tls.secret }}, defaultMode: 0440 }
{{- end }}
{{- if .tls.clientCa.secret }}
- name: client-ca
  secret: { secretName: {{ .tls.clientCa.secret }}, defaultMode: 0440 }
{{- end }}
{{- if .tls.clientSecret }}
- name: client
  secret: { secretName: {{ .tls.clientSecret }}, defaultMode: 0440 }
{{- end }}
{{- if .modelKeys.configMap }}
- name: model-keys
  configMap: { name: {{ .modelKeys.configMap }} }
{{- end }}
{{- with .extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "multigate.modelsVolume" -}}
{{- with .Values.models }}
{{- if .existingClaim }}
- name: models
  persistentVolumeClaim: { claimName: {{ .existingClaim }}, readOnly: true }
{{- else if .source }}
- name: models
  emptyDir: { sizeLimit: {{ .sizeLimit | quote }} }
{{- end }}
{{- end }}
{{- end }}

{{- define "multigate.volumeMounts" -}}
{{- with .Values }}
- { name: tmp, mountPath: /tmp }
{{- if and .settings.cache (ne .settings.cache "off") }}
- { name: cache, mountPath: {{ .settings.cache }} }
{{- end }}
{{- if .predictionLog.enabled }}
- { name: prediction-log, mountPath: {{ include "multigate.predictionLogFolder" $ }} }
{{- end }}
{{- if not (include "multigate.fromImage" $) }}
- { name: models, mountPath: {{ .settings.models }}, readOnly: true }
{{- end }}
{{- if .keys.secret }}
- { name: keys, mountPath: /etc/multigate/keys, readOnly: true }
{{- end }}
{{- if .tls.secret }}
- { name: tls, mountPath: /etc/multigate/tls, readOnly: true }
{{- end }}
{{- if .tls.clientCa.secret }}
- { name: client-ca, mountPath: /etc/multigate/client-ca, readOnly: true }
{{- end }}
{{- if .tls.clientSecret }}
- { name: client, mountPath: /etc/multigate/client, readOnly: true }
{{- end }}
{{- if .modelKeys.configMap }}
- { name: model-keys, mountPath: /etc/multigate/model-keys, readOnly: true }
{{- end }}
{{- with .extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}
