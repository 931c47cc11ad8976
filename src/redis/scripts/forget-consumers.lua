-- Deletes consumers of dead workers from a stream, unless something is pending on them.
-- KEYS  stream
-- ARGV  consumers
for i = 1, #ARGV do
  if #redis.call('XPENDING', KEYS[1], GROUP, '-', '+', 1, ARGV[i]) == 0 then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], GROUP, ARGV[i])
  end
end
return 1
