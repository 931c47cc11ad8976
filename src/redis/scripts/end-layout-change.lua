-- Lets producers add again. Does nothing when the mark has expired or belongs to another change.
-- KEYS  layout-change
-- ARGV  token
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
