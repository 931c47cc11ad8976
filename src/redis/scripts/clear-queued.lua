-- Removes what waits on a stream and was placed before a watermark. What was read is in a worker's hands and stays, but for
-- what it has not claimed: that claim is refused, as if it had been cancelled.
-- KEYS  work, front, schedule
-- ARGV  prefix, watermark, last id on work, 'w' | 'f', first id to look at, last one, entries to look at
-- Reply removed, the id after which it goes on ('' when all were looked at)
--@include now
--@include memory
local prefix = ARGV[1]
--@include events
--@include entries
--@include moves
--@include slots
--@include message
--@include forget
--@include clearing

local letter, count = ARGV[4], tonumber(ARGV[7])
local stream = stream_of(letter)

local read_up_to = '0-0'
if redis.call('EXISTS', stream) == 1 then
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local group = {}
    for at = 1, #info, 2 do
      group[info[at]] = info[at + 1]
    end
    if group.name == 'workers' then
      read_up_to = group['last-delivered-id']
    end
  end
end

local looked, bytes, tokens, last = 0, 0, {}, nil

local function look(id, moving)
  local token, isMeant, placed = letter .. id, false, moving.w
  if moving.k then
    local record = redis.call('HMGET', prefix .. 'run:' .. moving.k, 's', 'e', 'g')
    placed = record[3]
    isMeant = record[2] == token and record[1] == 'queued' and is_older(placed)
  elseif is_after(id, read_up_to) then
    isMeant = is_older(moving.g or letter == 'w' and id or nil)
  end
  if isMeant then
    remove(token)
    dismiss(moving, placed)
    tokens[#tokens + 1] = token
  end
end

-- A few at first, then as many as the bytes of those foretell.
local isMore = true
local first, ask = ARGV[5], 4
while isMore and looked < count and bytes < 1048576 do
  ask = math.min(ask, count - looked)
  local entries = redis.call('XRANGE', stream, first, ARGV[6], 'COUNT', ask)
  for _, entry in ipairs(entries) do
    local moving = {}
    for at = 1, #entry[2], 2 do
      moving[entry[2][at]] = entry[2][at + 1]
    end
    bytes = bytes + string.len(moving.m or '')
    last = entry[1]
    look(last, moving)
  end
  looked = looked + #entries
  isMore = #entries == ask
  first = '(' .. (last or '')
  ask = math.min(4 * ask, math.ceil((1048576 - bytes) * looked / (bytes + 1)))
end
release_slots(tokens)
write_slots()
return { #tokens, isMore and last or '' }
