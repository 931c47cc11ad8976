-- Counts failures by task and error name: one page, the newest first, as _failure_page.lua bounds it.
-- KEYS  failures
-- ARGV  the last and the first id that may be counted (as XREVRANGE takes them), task, error name (each '' for any)
-- Reply where the next page begins ('' when all were looked at), then for each group: task, error name, number of failures, id
--       of the newest
--@include failure_page
local task, error_name = ARGV[3], ARGV[4]

local reply, groups = { '' }, {}
reply[1] = each_failure(ARGV[1], ARGV[2], function(id, fields)
  if not is_selected(fields, task, error_name) then
    return false
  end
  local of, name = fields[FAILURE.task] or '', fields[FAILURE.error_name] or ''
  groups[of] = groups[of] or {}
  local group = groups[of][name]
  if not group then
    group = { of, name, 0, id }
    groups[of][name] = group
    reply[#reply + 1] = group
  end
  group[3] = group[3] + 1
  return false
end)
return reply
