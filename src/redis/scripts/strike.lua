-- Strikes, or restores what was struck. Doing either twice changes nothing. Says so before it writes: where this user may not
-- publish, nobody would hear of the strike, and nothing is written.
-- KEYS  strikes
-- ARGV  prefix, '+' to strike | '-' to restore, canonical text of the strike
-- Reply 1, or 0 when it was so before
--@include now
redis.call('HDEL', KEYS[1], '') -- a write that takes no memory comes first: a full server then allows the rest
local prefix, change, field = ARGV[1], ARGV[2], ARGV[3]
local strikes = KEYS[1]
--@include generation

if (redis.call('HEXISTS', strikes, field) == 1) == (change == '+') then
  return 0
end
local known = redis.call('HGET', strikes, 'version') or '0'
local version = digits(next_generations(1))
redis.call('PUBLISH', strikes, known .. ' ' .. version .. ' ' .. change .. field)
if change == '+' then
  redis.call('HSET', strikes, field, digits(now), 'version', version)
else
  redis.call('HDEL', strikes, field)
  redis.call('HSET', strikes, 'version', version)
end
return 1
