{{- define "nb.labels" -}}
app.kubernetes.io/name: netbird-ha
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "nb.selector" -}}
app.kubernetes.io/name: netbird-ha
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "nb.secret" -}}
{{ .Values.existingSecret | default (printf "%s-netbird" .Release.Name) }}
{{- end }}

{{- define "nb.fromSecret" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ include "nb.secret" .root }}, key: {{ .key }}}}
{{- end }}

{{/* What all servers need to find each other. */}}
{{- define "nb.haEnvironment" -}}
- {name: NB_HA_ENABLED, value: "true"}
- name: NB_HA_INSTANCE_ID
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- {name: NB_HA_REDIS_ADDRESS, value: {{ .Values.redis.address | quote }}}
{{- with .Values.redis.sentinels }}
- {name: NB_HA_REDIS_SENTINELS, value: {{ join "," . | quote }}}
- {name: NB_HA_REDIS_SENTINEL_MASTER, value: {{ $.Values.redis.sentinelMaster | quote }}}
{{- end }}
- {name: NB_HA_REDIS_TLS_ENABLED, value: {{ .Values.redis.tls | quote }}}
{{ include "nb.fromSecret" (dict "root" . "name" "NB_HA_REDIS_PASSWORD" "key" "redis-password") }}
- {name: NB_LOG_LEVEL, value: {{ .Values.logLevel | quote }}}
- {name: NB_LOG_FORMAT, value: json}
- {name: NB_DRAIN_DELAY, value: {{ .Values.drainDelay | quote }}}
{{- end }}

{{- define "nb.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "nb.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* readyz turns 503 first on SIGTERM, so endpoints leave before streams end. */}}
{{- define "nb.probes" -}}
startupProbe: {httpGet: {path: /healthz, port: {{ . }}}, periodSeconds: 2, failureThreshold: 60}
livenessProbe: {httpGet: {path: /healthz, port: {{ . }}}, periodSeconds: 10, failureThreshold: 6}
readinessProbe: {httpGet: {path: /readyz, port: {{ . }}}, periodSeconds: 2, failureThreshold: 2}
{{- end }}

{{/* Two replicas never on one node while there are two. */}}
{{- define "nb.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: {matchLabels: {{ include "nb.selector" . | fromYaml | toJson }}}
{{- end }}
