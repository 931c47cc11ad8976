-- Removes executions that wait on a stream and were placed before a watermark. An entry that was read is in a worker's
-- hands and stays, unless the worker has not claimed it: that claim is refused, as if the execution had been cancelled. One that a
-- worker moves to another partition stays, too, for `clear-moving.lua`.
-- KEYS  work, front, schedule
-- ARGV  prefix, watermark, last ids on the streams, letter of the stream, first id to look at, last id, entries to look at
-- Reply removed, the id after which it goes on ('' when all were looked at), the departures of those that are moved
--@include now
--@include memory
local prefix = ARGV[1]
--@include events
--@include entries
--@include moves
--@include permits
--@include delivered
--@include message
--@include forget
--@include clearing

local letter, count = ARGV[4], tonumber(ARGV[7])
local stream = stream_of(letter)

local read_up_to = last_delivered_id(stream)

local looked_at, bytes, tokens, last = 0, 0, {}, nil

local function look_at(id, moving)
  local token, is_cleared, placed, chain = letter .. id, false, moving[ENTRY.due], nil
  local departing
  if moving[ENTRY.key] then
    local record = redis.call('HMGET', prefix .. KEY.record .. moving[ENTRY.key],
      RECORD.state, RECORD.entry, RECORD.generation, RECORD.chain, RECORD.departing)
    placed, chain, departing = record[3], record[4], record[5]
    is_cleared = record[2] == token and record[1] == 'queued' and is_older(placed)
  elseif is_after(id, read_up_to) then
    is_cleared = is_older(moving[ENTRY.placed] or letter ~= STREAM.front and id or nil, moving[ENTRY.priority] or letter)
  end
  if is_cleared and departing then
    note_departure(moving[ENTRY.key], departing, placed)
  elseif is_cleared then
    remove(token)
    tokens[#tokens + 1] = token
    end_cleared(moving, placed, chain)
  end
end

-- Reads a few entries at first, then as many as the sizes of those before suggest.
local is_more = true
local first, ask = ARGV[5], 4
while is_more and looked_at < count and bytes < BATCH_BYTES do
  ask = math.min(ask, count - looked_at)
  local entries = redis.call('XRANGE', stream, first, ARGV[6], 'COUNT', ask)
  for _, entry in ipairs(entries) do
    local moving = fields_of(entry[2])
    bytes = bytes + string.len(moving[ENTRY.message] or '')
    last = entry[1]
    pcall(look_at, last, moving) -- one whose record cannot be used stays, for the claim to put it away
  end
  looked_at = looked_at + #entries
  is_more = #entries == ask
  first = '(' .. (last or '')
  ask = math.min(4 * ask, math.ceil((BATCH_BYTES - bytes) * looked_at / (bytes + 1)))
end
release_permits(tokens)
write_permits()
return { #tokens, is_more and last or '', departures }
