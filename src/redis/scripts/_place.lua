-- Places an execution under a key that is free, now or for a later time. The record of an earlier execution is deleted.
-- `chain` is what its record says about its chain, '' when it is not a run of one.
local function place(key, task, generation, due, message, chain, priority)
  local record_key = prefix .. KEY.record .. key
  redis.call('DEL', record_key)
  redis.call('HSET', record_key, RECORD.generation, digits(generation), RECORD.task, task)
  if chain ~= '' then
    remember_chain(key, chain)
  end
  -- The due time is kept even when it has just passed: chains count from it.
  local moving = { [ENTRY.key] = key, [ENTRY.message] = message, [ENTRY.due] = digits(due) }
  moving[ENTRY.priority] = priority ~= PRIORITY.normal and priority or nil
  if due > now then
    schedule_at(KEYS[3], due, park(moving, nil, 'scheduled'))
  else
    enqueue(STREAM.work, moving)
  end
  if has_listeners then
    publish_state(key, generation, due > now and 'scheduled' or 'queued')
  end
end
