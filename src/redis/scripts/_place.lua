-- Places an execution under a key that is free, now or at a later time; what is left of an earlier one goes.
local function place(key, task, generation, due, message)
  local run = prefix .. 'run:' .. key
  redis.call('DEL', run)
  redis.call('HSET', run, 'g', digits(generation), 't', task)
  local moving = { k = key, m = message, w = digits(due) } -- also one that has just passed: chains count from it
  if due > now then
    schedule_at(KEYS[3], due, park(moving, nil, 'scheduled'))
  else
    enqueue('w', moving)
  end
  if listened then
    changed(key, generation, due > now and 'scheduled' or 'queued')
  end
end
