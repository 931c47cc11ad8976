-- Returns the fields of the record with which a chain is listed: state, task, due time, generation, chain, last run. A key in
-- the index that is not the key of a chain is removed from it, and nothing is returned: its record was deleted by hand, or a
-- worker that did not know that it was a chain ended it.
local function live_chain(key)
  local record = redis.pcall('HMGET', prefix .. KEY.record .. key, RECORD.state, RECORD.task, RECORD.due,
    RECORD.generation, RECORD.chain, RECORD.last_run, RECORD.cancelled)
  if not record.err and is_alive(record[1]) and record[5] and record[7] ~= '1' then
    return record
  end
  forget_chain(key)
end
