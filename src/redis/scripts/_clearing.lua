-- What `clear` removes, and how. ARGV begins with prefix, watermark (a generation), and the last ids on the streams when the
-- watermark was taken, in the order of reading, separated by spaces.
--@include ids
--@include words
local watermark, letters, last_ids = tonumber(ARGV[2]), STREAM_LETTERS, {}
for i, id in ipairs(words_of(ARGV[3])) do
  last_ids[letters[i]] = id
end

-- Whether a placement came before the watermark: by its generation, or by the id of the entry that it began as, on `work`
-- or the stream of its priority. An execution that has neither was moved by another version of docket, and counts as older.
local function is_older(placed, priority)
  if not placed then
    return true
  elseif string.find(placed, '-', 1, true) then
    local is_special = priority == STREAM.high or priority == STREAM.low
    return not is_after(placed, last_ids[is_special and priority or STREAM.work])
  end
  return (tonumber(placed) or 0) < watermark
end

-- Keys of executions that are to be removed and that a worker moves to another partition, each followed by where it goes and by
-- which move (RECORD.departing), and its generation. They stay, since they may have started where they have arrived.
local departures = {}
local function note_departure(key, departing, generation)
  departures[#departures + 1] = key
  departures[#departures + 1] = departing
  departures[#departures + 1] = generation or ''
end

-- Ends an execution that was taken from where it was. `placed` is its generation, or its due time without a record, and
-- `chain` what its record says about its chain.
local function end_cleared(moving, placed, chain)
  if moving[ENTRY.debounce] or moving[ENTRY.booking] then
    forget_limits(moving[ENTRY.key] and LETTER.recorded .. moving[ENTRY.key] or LETTER.lean .. id_of(moving[ENTRY.message]),
      placed, moving[ENTRY.debounce], moving[ENTRY.booking])
  end
  if moving[ENTRY.key] then
    local finish = chain and end_execution or end_single
    finish(moving[ENTRY.key], ttl_of(moving[ENTRY.message]), 'cancelled', RECORD.error_line, 'cleared')
  end
end
