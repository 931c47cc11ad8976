-- Keeps producers from adding to a partition while the partitions of the docket change. The strikes get a new version, so
-- every add that was routed before is refused; its producer then finds the mark, waits, and routes again. The mark expires,
-- so that producers do not wait for long if the process of the change dies. Its owner may call again to keep it longer.
-- KEYS  strikes, layout-change
-- ARGV  prefix, token, how long the mark lasts (ms), '1' when it must be there
-- Reply number of the limits of which permits are taken; nothing when another process changes the partitions, or when the mark
--       that must be there has expired: adds may have been written since
--@include now
local prefix, token = ARGV[1], ARGV[2]
local strikes = KEYS[1]
--@include generation

local owner = redis.call('GET', KEYS[2])
if owner and owner ~= token or not owner and ARGV[4] == '1' then
  return false
end
if not owner then
  local version_before = redis.call('HGET', strikes, STRIKES.version) or '0'
  local version = digits(next_generations(1))
  redis.call(publish_command(), KEYS[#KEYS] .. CHANNEL.strike_changes, version_before .. ' ' .. version .. ' ' .. STRIKES_CONFIRMED)
  redis.call('HSET', strikes, STRIKES.version, version)
end
redis.call('SET', KEYS[2], token, 'PX', ARGV[3])
return redis.call('HLEN', prefix .. KEY.permits_taken)
