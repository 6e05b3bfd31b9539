{{/* Refuses values that contradict each other, naming the places. */}}
{{- define "multigate.validate" -}}
{{- with .Values }}
{{- if not .settings.port }}
{{- fail "settings.port must be above 0: the Service needs a port that is known" }}
{{- end }}
{{- if not .settings.models }}
{{- fail "settings.models is missing: a folder, such as /models" }}
{{- end }}
{{- if and .models.source .models.existingClaim }}
{{- fail "models.source and models.existingClaim exclude each other: set one of them" }}
{{- end }}
{{- if not (or .models.source .models.existingClaim .models.fromImage) }}
{{- fail "models: set source or existingClaim, or fromImage to true" }}
{{- end }}
{{- if and .keys.secret .settings.keys }}
{{- fail "keys.secret and settings.keys exclude each other: a file is mounted from the Secret" }}
{{- end }}
{{- if and .tls.secret (or .settings.tlsCert .settings.tlsKey) }}
{{- fail "tls.secret and settings.tlsCert, settings.tlsKey exclude each other: the files are mounted from the Secret" }}
{{- end }}
{{- if and .tls.clientCa.secret .settings.tlsClientCa }}
{{- fail "tls.clientCa.secret and settings.tlsClientCa exclude each other: the file is mounted from the Secret" }}
{{- end }}
{{- if and .modelKeys.configMap .settings.modelKeys }}
{{- fail "modelKeys.configMap and settings.modelKeys exclude each other: a file is mounted from the ConfigMap" }}
{{- end }}
{{- if and (include "multigate.mutualTls" $) (not (include "multigate.tls" $)) }}
{{- fail "tls.clientCa.secret needs tls.secret: without a certificate nothing is encrypted" }}
{{- end }}
{{- if and (include "multigate.mutualTls" $) (not .tls.clientSecret) }}
{{- fail "tls.clientSecret is missing: with mutual TLS, probes need a client certificate too" }}
{{- end }}
{{- if and .settings.adminPort (eq (int .settings.adminPort) (int .settings.port)) }}
{{- fail (printf "settings.adminPort must differ from settings.port, which is %d too" (int .settings.port)) }}
{{- end }}
{{- if and .models.source (has (int .models.sync.port) (list (int .settings.port) (int .settings.adminPort))) }}
{{- fail (printf "models.sync.port must differ from settings.port and settings.adminPort: %d is taken" (int .models.sync.port)) }}
{{- end }}
{{- if and .predictionLog.enabled .settings.predictionLog }}
{{- fail "predictionLog.enabled and settings.predictionLog exclude each other: the chart sets the folder" }}
{{- end }}
{{- if and (include "multigate.isLoopback" .settings.host) (not (include "multigate.adminReachable" $)) (not (include "multigate.mutualTls" $)) }}
{{- fail "settings.host lets nobody else reach the pod, not even probes, so it can never be ready: set it to 0.0.0.0" }}
{{- end }}
{{- if and .settings.admin (not .settings.adminPort) (not .keys.secret) (not .settings.keys) }}
{{- fail "settings.admin lets everyone who reaches the service unload models: set keys.secret, or settings.adminPort" }}
{{- end }}
{{- if and .metrics.serviceMonitor.enabled (not .settings.adminPort) (or .keys.secret .settings.keys) (not .metrics.serviceMonitor.keySecret.name) }}
{{- fail "metrics.serviceMonitor.keySecret.name is missing: without settings.adminPort, /metrics needs a key" }}
{{- end }}
{{- if gt (int .autoscaling.minReplicas) (int .autoscaling.maxReplicas) }}
{{- fail (printf "autoscaling.minReplicas is %d, above autoscaling.maxReplicas, %d" (int .autoscaling.minReplicas) (int .autoscaling.maxReplicas)) }}
{{- end }}
{{- if and (eq .autoscaling.mode "saturation") (not .autoscaling.saturation.prometheusUrl) }}
{{- fail "autoscaling.saturation.prometheusUrl is missing: KEDA asks Prometheus there, such as http://prometheus.monitoring:9090" }}
{{- end }}
{{- if and (eq (toString .updateStrategy.maxSurge) "0") (eq (toString .updateStrategy.maxUnavailable) "0") }}
{{- fail "updateStrategy.maxSurge and updateStrategy.maxUnavailable are both 0: no pod could be replaced" }}
{{- end }}
{{- end }}
{{- end }}
