{{/* Where pods run. */}}
{{- define "multigate.scheduling" -}}
{{- with .Values }}
{{- $spread := list }}
{{- range $domain, $key := dict "zone" "topology.kubernetes.io/zone" "node" "kubernetes.io/hostname" }}
{{- $when := get $.Values.topologySpread $domain }}
{{- if ne $when "none" }}
{{- $spread = append $spread (dict "key" $key "when" $when) }}
{{- end }}
{{- end }}
{{- with $spread }}
topologySpreadConstraints:
  {{- range . }}
  - maxSkew: 1
    topologyKey: {{ .key }}
    whenUnsatisfiable: {{ .when }}
    labelSelector:
      matchLabels:
        {{- include "multigate.serverLabels" $ | nindent 8 }}
    # Pods of the former version do not count.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- with .imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
