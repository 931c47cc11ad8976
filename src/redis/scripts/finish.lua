-- Settles executions that keep nothing: their entries go, and that is all there is to write.
-- KEYS  stream
-- ARGV  ids, separated by spaces: one argument is cheaper to send than hundreds
-- Reply how many entries were still there; fewer than sent means that some had been redelivered
local ids = {}
for id in string.gmatch(ARGV[1], '%S+') do
  ids[#ids + 1] = id
end
redis.call('XACK', KEYS[1], 'workers', unpack(ids))
return redis.call('XDEL', KEYS[1], unpack(ids))
