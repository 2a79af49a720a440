// Visibility of the public API.

#ifndef URGE_DETAIL_EXPORT_H_
#define URGE_DETAIL_EXPORT_H_

#define URGE_API __attribute__((visibility("default")))

#endif  // URGE_DETAIL_EXPORT_H_
