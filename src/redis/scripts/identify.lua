-- Says what executions are, by where they are: 'e' and the token of an entry, or a member of the schedule or of a limit.
-- KEYS  work, front
-- ARGV  prefix, then where they are
-- Reply for each, until 1 MiB of messages was read: { key ('' without a record), task, attempt, state, worker, began (of a
--       record), head of the message (without a record) }, empty when it has gone elsewhere
local prefix = ARGV[1]
--@include entries
--@include moves

-- The header of a message is shorter, arguments are not asked for.
local HEAD = 1024

local function record_of(key)
  local record = redis.call('HMGET', prefix .. 'run:' .. key, 't', 'a', 's', 'k', 'b')
  return { key, record[1] or '', record[2] or '1', record[3] or '', record[4] or '', record[5] or '', '' }
end

local replies, bytes = {}, 0
local function nameless(message)
  bytes = bytes + string.len(message)
  return { '', '', '', '', '', '', string.sub(message, 1, HEAD) }
end

for i = 2, #ARGV do
  local where, name, reply = string.sub(ARGV[i], 1, 1), string.sub(ARGV[i], 2), {}
  if where == 'k' then
    reply = record_of(name)
  elseif where == 'l' then
    reply = nameless(redis.call('HGET', parked_at(ARGV[i]), 'm') or '')
  else
    local moving = read_entry(name)
    if moving and moving.k then
      bytes = bytes + string.len(moving.m or '')
      reply = record_of(moving.k)
    elseif moving then
      reply = nameless(moving.m or '')
    end
  end
  replies[#replies + 1] = reply
  if bytes > 1048576 then
    break
  end
end
return replies
