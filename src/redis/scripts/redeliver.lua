-- Gives executions whose lease ran out to whoever reads next. Nothing is taken over in place: the old entry goes, a new
-- one comes, and with it the right to settle.
-- KEYS  work, front
-- ARGV  prefix, lease (ms), then tokens
-- Reply tokens that were redelivered (after 1 MiB the rest waits for the next sweep)
--@include now
local prefix, lease = ARGV[1], ARGV[2]
--@include entries

-- Deliveries that ended without an outcome, after which an execution is a suspect: it is then run with no other suspect
-- beside it in its process, so that when the process dies under it once more, it is charged for that.
local SUSPECT_AFTER = 3

local redelivered, bytes = {}, 0
for i = 3, #ARGV do
  if bytes > 1048576 then
    break
  end
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
      local deliveries = tonumber(given['d'] or 0)
      if deliveries >= SUSPECT_AFTER then
        given['c'] = digits(tonumber(given['c'] or 0) + 1)
      end
      given['d'] = digits(deliveries + 1)
      bytes = bytes + string.len(given['m'] or '')
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
