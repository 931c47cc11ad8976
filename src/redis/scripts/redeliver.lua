-- Gives executions whose lease ran out to whoever reads next. Nothing is taken over in place: the old entry goes, a new
-- one comes, and with it the right to settle.
-- KEYS  work, front
-- ARGV  prefix, lease (ms), then tokens
-- Reply tokens that were redelivered
--@include now
local prefix, lease = ARGV[1], ARGV[2]
--@include entries

local redelivered = {}
for i = 3, #ARGV do
  local token = ARGV[i]
  local stream, id = stream_of(token), string.sub(token, 2)
  -- Between the sweeper's look and this script the owner may have renewed or settled.
  if #redis.call('XPENDING', stream, 'workers', 'IDLE', lease, id, id, 1) == 1 then
    local entry = redis.call('XRANGE', stream, id, id)[1]
    remove(token)
    if entry then
      local fields, given = {}, {}
      for at = 1, #entry[2], 2 do
        given[entry[2][at]] = entry[2][at + 1]
      end
      given['d'] = digits(tonumber(given['d'] or 0) + 1)
      given['w'] = given['w'] or string.match(id, '^%d+')
      local run = given['k'] and prefix .. 'run:' .. given['k']
      -- A record that names another entry has moved on without this one.
      if not run or redis.call('HGET', run, 'e') == token then
        for name, value in pairs(given) do
          fields[#fields + 1] = name
          fields[#fields + 1] = value
        end
        local new = redis.call('XADD', KEYS[2], '*', unpack(fields))
        if run then
          redis.call('HSET', run, 's', 'queued', 'e', 'f' .. new)
        end
        redelivered[#redelivered + 1] = token
      end
    end
  end
end
return redelivered
