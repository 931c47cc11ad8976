-- Adds a pause. Adding it again changes nothing. The change is published before it is written: where this user may not
-- publish, no worker would hear of the pause, so nothing is written.
-- KEYS  paused
-- ARGV  prefix, what is paused (PAUSE.docket, or the line of a task), reason
-- Reply 1, 0 when it was there already, -1 when there are too many
--@include now
redis.call('HDEL', KEYS[1], '') -- a write that takes no memory comes first: a full server then allows the rest
local prefix, field = ARGV[1], ARGV[2] .. ' ' .. ARGV[3]
local paused = KEYS[1]
--@include generation

if redis.call('HEXISTS', paused, field) == 1 then
  return 0
elseif redis.call('HLEN', paused) > MOST_PAUSES then
  return -1
end
local version_before = redis.call('HGET', paused, PAUSES.version) or '0'
local version = digits(next_generations(1))
redis.call(publish_command(), KEYS[#KEYS] .. CHANNEL.pause_changes,
  version_before .. ' ' .. version .. ' ' .. PAUSE_CHANGE.pause .. field)
redis.call('HSET', paused, field, digits(now), PAUSES.version, version)
return 1
