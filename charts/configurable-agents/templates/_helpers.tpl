{{- define "configurable-agents.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for the longest suffix, so that no name is cut where two would become one. */}}
{{- define "configurable-agents.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := include "configurable-agents.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* The name of a component's objects. Call with (dict "root" $ "component" "registry"). */}}
{{- define "configurable-agents.component" -}}
{{- printf "%s-%s" (include "configurable-agents.fullname" .root) .component }}
{{- end }}

{{/* Of cluster-scoped objects: two releases never meet, as neither part can hold a colon. */}}
{{- define "configurable-agents.clusterName" -}}
{{- printf "%s:%s:%s" (include "configurable-agents.fullname" .root) .root.Release.Namespace .component }}
{{- end }}

{{- define "configurable-agents.selectorLabels" -}}
app.kubernetes.io/name: {{ include "configurable-agents.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "configurable-agents.labels" -}}
{{- with .root.Values.commonLabels }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{ include "configurable-agents.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: configurable-agents
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- end }}

{{/* metadata of an object: name, namespace, labels, annotations. */}}
{{- define "configurable-agents.metadata" -}}
name: {{ .name | default (include "configurable-agents.component" .) }}
{{- if not .clusterScoped }}
namespace: {{ .namespace | default .root.Release.Namespace }}
{{- end }}
labels:
  {{- include "configurable-agents.labels" . | trim | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "configurable-agents.serviceAccountName" -}}
{{- $values := (index .root.Values .component).serviceAccount }}
{{- if $values.create }}
{{- $values.name | default (include "configurable-agents.component" .) }}
{{- else }}
{{- $values.name | default "default" }}
{{- end }}
{{- end }}

{{- define "configurable-agents.image" -}}
{{- $image := .Values.image }}
{{- $global := default dict .Values.global }}
{{- $registry := $global.imageRegistry | default $image.registry }}
{{- $tag := $image.tag | default .Chart.AppVersion }}
{{- if eq $tag "latest" }}
{{- fail "image.tag: `latest` says nothing of what runs; name a version, or a digest with image.digest" }}
{{- end }}
{{- with $registry }}{{ . }}/{{ end }}{{ $image.repository }}:{{ $tag }}{{ with $image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "configurable-agents.pullSecrets" -}}
{{- $global := default dict .Values.global }}
{{- $all := concat .Values.image.pullSecrets (default list $global.imagePullSecrets) }}
{{- with $all }}
imagePullSecrets:
  {{- range . }}
  - name: {{ if kindIs "map" . }}{{ .name }}{{ else }}{{ . }}{{ end }}
  {{- end }}
{{- end }}
{{- end }}

{{/* URL of a component's Service, by the name that works from every namespace. With "namespace" in
the dict that one: "$(POD_NAMESPACE)" is filled in by the kubelet, and stays right when kustomize
moves everything to another namespace. */}}
{{- define "configurable-agents.serviceURL" -}}
http://{{ include "configurable-agents.component" . }}.{{ .namespace | default .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}:{{ (index .root.Values .component).service.port }}
{{- end }}

{{/* A PostgreSQL registry keeps nothing in its pod. */}}
{{- define "configurable-agents.stateless" -}}
{{- if .Values.registry.database.existingSecret }}true{{ end }}
{{- end }}

{{- define "configurable-agents.configMapName" -}}
{{ include "configurable-agents.component" . }}-settings
{{- end }}

{{/* What every pod of ours has, before its containers. */}}
{{- define "configurable-agents.podSpec" -}}
{{- $values := index .root.Values .component -}}
serviceAccountName: {{ include "configurable-agents.serviceAccountName" . }}
automountServiceAccountToken: {{ eq .component "orchestrator" }}
# Services of the namespace would set variables such as AGENT_REGISTRY_PORT, which are settings of ours.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
{{- with include "configurable-agents.pullSecrets" .root | trim }}
{{- . | nindent 0 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- $ours := dict "labelSelector" (dict "matchLabels" (include "configurable-agents.selectorLabels" . | fromYaml)) }}
  {{- range $values.topologySpreadConstraints }}
  - {{- hasKey . "labelSelector" | ternary . (merge (deepCopy .) $ours) | toYaml | nindent 4 }}
  {{- end }}
{{- else if gt (int $values.replicas) 1 }}
# A wish, not a demand: two replicas on one node are better than one.
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "configurable-agents.selectorLabels" . | nindent 8 }}
{{- end }}
{{- end }}

{{/* What every container of a server has, after its arguments and variables. */}}
{{- define "configurable-agents.container" -}}
{{- $values := index .root.Values .component -}}
image: {{ include "configurable-agents.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  {{- toYaml $values.securityContext | nindent 2 }}
resources:
  {{- toYaml $values.resources | nindent 2 }}
startupProbe:
  {{- include "configurable-agents.probe" (dict "path" "/livez" "values" $values.startupProbe) | nindent 2 }}
livenessProbe:
  {{- include "configurable-agents.probe" (dict "path" "/livez" "values" $values.livenessProbe) | nindent 2 }}
readinessProbe:
  {{- include "configurable-agents.probe" (dict "path" "/readyz" "values" $values.readinessProbe) | nindent 2 }}
{{- if and (gt (int $values.replicas) 1) (gt (int $values.preStopSleepSeconds) 0) }}
# Another replica takes over: no call should find this one gone before the Service has noticed.
lifecycle:
  preStop:
    sleep:
      seconds: {{ $values.preStopSleepSeconds }}
{{- end }}
{{- end }}

{{- define "configurable-agents.probe" -}}
httpGet:
  path: {{ .path }}
  port: ops
{{- toYaml .values | nindent 0 }}
{{- end }}

{{/* Annotations of a pod: what it read at its start rolls it when it changes. */}}
{{- define "configurable-agents.podAnnotations" -}}
{{- $values := index .root.Values .component -}}
checksum/settings: {{ toJson $values.settings | sha256sum | trunc 32 }}
{{- with $values.podAnnotations }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}

{{/* Where health and metrics are, apart from what callers reach. */}}
{{- define "configurable-agents.opsListen" -}}
{{- if contains ":" .address }}[{{ .address }}]{{ else }}{{ .address }}{{ end }}:{{ .port }}
{{- end }}
