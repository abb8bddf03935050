#include <weft/serializer.hpp>

#include <stdexcept>

namespace weft {

void byte_reader::refuse(const char* why) { throw std::runtime_error(std::string("these bytes are not the value's: ") + why); }

}  // namespace weft
