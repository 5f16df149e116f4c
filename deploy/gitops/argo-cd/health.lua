-- Health of an AgentEndpoint for Argo CD: in the ConfigMap argocd-cm under the key
-- resource.customizations.health.agents.configurable.dev_AgentEndpoint (docs/how-to/argo-cd.md).
local function health(status, message)
  return {status = status, message = message}
end

local function told(condition)
  return condition.reason .. ": " .. condition.message
end

local metadata = obj.metadata or {}
local status = obj.status or {}

if metadata.deletionTimestamp ~= nil then
  return health("Progressing", "The object is being deleted")
end
-- What is written is of an older spec, or of none at all: a fresh object says -1.
if status.observedGeneration == nil or status.observedGeneration ~= metadata.generation then
  return health("Progressing", "The orchestrator has not seen this generation yet")
end
if obj.spec ~= nil and obj.spec.suspend == true then
  return health("Suspended", "Not probed: spec.suspend is true")
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local ready = conditions.Ready
if conditions.Stalled ~= nil and conditions.Stalled.status == "True" then
  return health("Degraded", told(conditions.Stalled))
end
if ready == nil then
  return health("Progressing", "Waiting for the first probe")
end
if ready.status == "True" then
  return health("Healthy", told(ready))
end
if ready.status == "False" then
  return health("Degraded", told(ready))
end
return health("Progressing", told(ready))
