-- Whether a caught error says that the server takes no writes at the moment, whatever they are about. Such an error must not
-- be blamed on one item.
local function is_refusal(problem)
  local text = type(problem) == 'table' and problem.err or tostring(problem)
  for _, code in ipairs({ 'READONLY', 'NOREPLICAS', 'MISCONF', 'OOM' }) do
    if string.find(text, code, 1, true) then
      return true
    end
  end
  return false
end
