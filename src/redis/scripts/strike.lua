-- Adds a strike, or removes one. Doing either twice changes nothing. The change is published before it is
-- written: where this user may not publish, no worker would hear of the strike, so nothing is written.
-- KEYS  strikes
-- ARGV  prefix, change, canonical text of the strike
-- Reply 1, or 0 when there was nothing to change
--@include now
redis.call('HDEL', KEYS[1], '') -- a write that takes no memory comes first: a full server then allows the rest
local prefix, change, strike = ARGV[1], ARGV[2], ARGV[3]
local strikes = KEYS[1]
--@include generation

if (redis.call('HEXISTS', strikes, strike) == 1) == (change == CHANGE.strike) then
  return 0
end
local version_before = redis.call('HGET', strikes, STRIKES.version) or '0'
local version = digits(next_generations(1))
redis.call(publish_command(), KEYS[#KEYS] .. CHANNEL.strike_changes, version_before .. ' ' .. version .. ' ' .. change .. strike)
if change == CHANGE.strike then
  redis.call('HSET', strikes, strike, digits(now), STRIKES.version, version)
else
  redis.call('HDEL', strikes, strike)
  redis.call('HSET', strikes, STRIKES.version, version)
end
return 1
