-- Ends the pause of a task or of the docket with one reason, or all of them. When a task has no pause left, the line of its
-- executions is left to a scheduler, which moves it to `front` page by page. The changes are published before they are
-- written: where this user may not publish, no worker would hear of them, so nothing is written.
-- KEYS  paused, wakes
-- ARGV  prefix, what is paused (PAUSE.docket, or the line of a task), reason ('' for all)
-- Reply how many pauses were ended
--@include now
redis.call('HDEL', KEYS[1], '') -- a write that takes no memory comes first: a full server then allows the rest
local prefix, what, reason = ARGV[1], ARGV[2], ARGV[3]
local paused = KEYS[1]
--@include generation

local ended, others, all = {}, 0, 0
for _, field in ipairs(redis.call('HKEYS', paused)) do
  all = all + 1
  if string.match(field, '^%S*') == what then
    if reason == '' or field == what .. ' ' .. reason then
      ended[#ended + 1] = field
    else
      others = others + 1
    end
  end
end
if #ended == 0 then
  return 0
end

local version = redis.call('HGET', paused, PAUSES.version) or '0'
local next_version = next_generations(#ended)
for _, field in ipairs(ended) do
  local before = version
  version = digits(next_version)
  next_version = next_version + 1
  redis.call(publish_command(), KEYS[#KEYS] .. CHANNEL.pause_changes, before .. ' ' .. version .. ' ' .. PAUSE_CHANGE.resume .. field)
end
redis.call('HDEL', paused, unpack(ended))
if all == #ended + 1 then -- only the version is left
  redis.call('DEL', paused)
else
  redis.call('HSET', paused, PAUSES.version, version)
end
if others == 0 and redis.call('EXISTS', prefix .. KEY.limit .. what) == 1 then
  redis.call('ZADD', KEYS[2], 0, what)
  redis.pcall(publish_command(), KEYS[#KEYS] .. CHANNEL.wake, digits(now))
end
return #ended
