-- Reads failures by their ids.
-- KEYS  failures
-- ARGV  ids
-- Reply for each id in order the fields and their values, nothing when there is no such failure: fewer than there are ids,
--       after 1 MiB
local reply, bytes = {}, 0
for _, id in ipairs(ARGV) do
  if bytes > BATCH_BYTES then
    break
  end
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  for _, text in ipairs(entry and entry[2] or {}) do
    bytes = bytes + #text
  end
  reply[#reply + 1] = entry and entry[2] or {}
end
return reply
