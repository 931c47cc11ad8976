-- Lists failures, the newest first: one page, which ends with the number that is wanted, or as _failure_page.lua says.
-- KEYS  failures
-- ARGV  the last and the first id that may be listed (as XREVRANGE takes them), number that is wanted, task, error name (each
--       '' for any), '1' to list ids only
-- Reply where the next page begins ('' when all were looked at), then for each failure: id, its fields and their values
--@include failure_page
local wanted, task, error_name, ids_only = tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6] == '1'

local reply = { '' }
reply[1] = each_failure(ARGV[1], ARGV[2], function(id, fields, list)
  if is_selected(fields, task, error_name) then
    reply[#reply + 1] = { id, ids_only and {} or list }
  end
  return #reply > wanted
end)
return reply
