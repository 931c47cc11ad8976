-- Draws the line between the executions that `clear` removes and those that are added later.
-- KEYS  work
-- ARGV  prefix
-- Reply generation, the last id on each stream, in the order of reading
--@include now
--@include memory
local prefix = ARGV[1]
--@include generation
--@include fields
--@include streams

-- Returns the id of the last entry that was added, even if it is gone.
local function last_id(stream)
  if redis.call('EXISTS', stream) == 1 then
    return fields_of(redis.call('XINFO', 'STREAM', stream))['last-generated-id']
  end
  return '0-0'
end
local reply = { digits(next_generations(1)) }
for _, letter in ipairs(STREAM_LETTERS) do
  reply[#reply + 1] = last_id(stream_of(letter))
end
return reply
