-- What `clear` removes, and how. ARGV begins with prefix, watermark (a generation), and the last id on `work` when the
-- watermark was taken.
local watermark, last_work = tonumber(ARGV[2]), ARGV[3]
--@include ids

-- Whether a placement came before the watermark: by its generation, or by the id of the entry on `work` that it began
-- as. An execution that has neither was moved by another version of docket, and counts as older.
local function is_older(placed)
  if not placed then
    return true
  elseif string.find(placed, '-', 1, true) then
    return not is_after(placed, last_work)
  end
  return (tonumber(placed) or 0) < watermark
end

-- Ends an execution that was taken from where it was. `placed` is its generation, or its due time without a record, and
-- `chain` what its record says about its chain.
local function end_cleared(moving, placed, chain)
  if moving[ENTRY.debounce] or moving[ENTRY.booking] then
    forget_limits(moving[ENTRY.key] and TAG.recorded .. moving[ENTRY.key] or TAG.lean .. id_of(moving[ENTRY.message]),
      placed, moving[ENTRY.debounce], moving[ENTRY.booking])
  end
  if moving[ENTRY.key] then
    local finish = chain and end_execution or end_single
    finish(moving[ENTRY.key], ttl_of(moving[ENTRY.message]), 'cancelled', RECORD.error_line, 'cleared')
  end
end
